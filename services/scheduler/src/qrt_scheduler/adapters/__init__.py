"""The scheduler's ports on real parts."""
