"""The command `quafu-runtime`: the client library for people and for scripts.

Only the command imports this package, and with it click, rich and platformdirs. A subcommand's module is
imported when it is called.
"""
