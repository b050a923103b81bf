"""Environments of programs: resolved and installed by uv in a sandbox, kept by the key of their lock."""
