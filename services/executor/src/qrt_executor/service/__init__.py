"""Use cases: take orders, run attempts, say how things stand."""
