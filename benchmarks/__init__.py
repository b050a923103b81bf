"""Measurements of the runtime; each prints a table and ends with one JSON object."""
