"""Uploaded projects, judged and brought into one form by a child process: see `judge`.

These modules import the standard library, one another and `packaging` only.
"""
