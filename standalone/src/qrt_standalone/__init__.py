"""All four services in one process, for one machine."""
