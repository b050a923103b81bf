"""Jobs, attempts, leases, fair dispatch and the history of outputs."""
