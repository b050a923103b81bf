"""The registry's ports on MongoDB and on child processes."""
