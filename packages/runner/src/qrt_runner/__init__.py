"""The program's side of the sandbox.

Nothing of the services imports this package, and it imports nothing of theirs: the Python of a
program environment runs `zygote.py` by path, with `-I`. It needs the standard library alone, and
uses numpy and quafu when the environment holds them.
"""
