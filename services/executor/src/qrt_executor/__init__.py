"""Sandboxes and running attempts."""
