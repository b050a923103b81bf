"""The Quafu surface: what published Quafu Runtime clients send, and what they expect back.

Two dialects of one interface. The newer, at `/runtime/*`, wraps every answer in an envelope and
says what went wrong in its `status`, inside HTTP 200; the older, below `/compat/quafu-a/`, sends
bare JSON and real HTTP codes. Nothing in a request tells them apart, hence the two addresses.
docs/quafu.md is the guide for users and operators.
"""
