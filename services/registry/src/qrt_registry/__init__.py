"""Programs and their immutable versions."""
