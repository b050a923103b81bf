"""The gateway's ports on MongoDB."""
