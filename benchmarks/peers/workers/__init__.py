"""What the workers of the peers load; they run in `.venv/bench`."""
