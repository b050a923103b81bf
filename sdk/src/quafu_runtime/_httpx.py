"""httpx without its command line.

Where click, rich and pygments are installed, as our own command needs them, `import httpx` imports them for a
command of its own. That would cost everybody who imports this library a quarter of a second.
"""

import sys

_COMMAND_LINE = "httpx._main"
_held_back = "httpx" not in sys.modules and _COMMAND_LINE not in sys.modules
if _held_back:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]  # reads as: cannot be imported
try:
    import httpx
finally:
    if _held_back:
        del sys.modules[_COMMAND_LINE]

__all__ = ["httpx"]
