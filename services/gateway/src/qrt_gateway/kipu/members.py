"""The text of a JSON object without some of its members, piece by piece: results may be large.

Values are passed through as they were written, so that no number loses a digit on its way.
"""

import json
import re
from collections.abc import AsyncIterator, Container

_MENTIONED = re.compile(rb'"(?:_|\\u005[fF])')
_KEY = re.compile(rb'["}]')
_INSIDE = re.compile(rb'["\\]')
_OUTSIDE = re.compile(rb'["{}\[\],]')
_DEEPER = re.compile(rb'["{}\[\]]')
_LONGEST_KEY = 64
"""Bytes of the longest key that can be one of those to leave out, each character escaped."""


async def mentions_underscore(pieces: AsyncIterator[bytes]) -> bool:
    """Tell whether some string in the text begins with `_`: without one, no member has to go."""
    rest = b""
    async for piece in pieces:
        if _MENTIONED.search(rest + piece):
            return True
        rest = (rest + piece)[-8:]
    return False


async def unwrapped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what stands between the braces of an object."""
    held, first = b"", True
    async for piece in pieces:
        if first and piece.strip():
            piece, first = piece.lstrip()[1:], False
        if piece.strip():
            yield held
            held = piece
        else:
            held += piece
    yield held.rstrip()[:-1]


async def without(names: Container[str], pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what stands between the braces of an object, but for the members called `names`."""
    members = _Members(names)
    async for piece in pieces:
        yield members.feed(piece)


class _Members:
    """Cuts an object's text into its members. The text is valid JSON: it was checked when it was stored."""

    def __init__(self, names: Container[str]) -> None:
        self._names = names
        self._held = b""
        self._in_key = True
        self._in_string = False
        self._depth = 0
        self._dropping = False
        self._any = False

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece; return what is passed on."""
        data, out, at = self._held + piece, bytearray(), 0
        self._held = b""
        while at < len(data):
            at = self._key(data, at, out) if self._in_key else self._value(data, at, out)
        return bytes(out)

    def _key(self, data: bytes, at: int, out: bytearray) -> int:
        found = _KEY.search(data, at)
        if found is None or found[0] == b"}":
            return len(data)
        end = _end_of_string(data, found.end())
        if end is None and len(data) - found.start() <= _LONGEST_KEY:
            self._held = data[found.start() :]
            return len(data)
        self._in_key, self._in_string = False, end is None
        stop = found.end() if end is None else end
        self._dropping = end is not None and json.loads(data[found.start() : stop]) in self._names
        if not self._dropping:
            out += b"," if self._any else b""
            out += data[found.start() : stop]
            self._any = True
        return stop

    def _value(self, data: bytes, at: int, out: bytearray) -> int:
        """Pass on from `at` to the end of the value or of the data; return where that is."""
        start = at
        while at < len(data):
            if self._in_string:
                end = _end_of_string(data, at)
                if end is None:
                    at = self._hold_escape(data, at)
                    break
                self._in_string, at = False, end
                continue
            found = (_DEEPER if self._depth else _OUTSIDE).search(data, at)
            if found is None:
                at = len(data)
                break
            if self._depth == 0 and found[0] in b"},":
                self._in_key = True
                out += b"" if self._dropping else data[start : found.start()]
                return found.end() if found[0] == b"," else len(data)
            self._in_string = found[0] == b'"'
            self._depth += (found[0] in b"{[") - (found[0] in b"}]")
            at = found.end()
        out += b"" if self._dropping else data[start:at]
        return len(data)

    def _hold_escape(self, data: bytes, at: int) -> int:
        """Keep a backslash at the end for the next piece, which says what it escapes."""
        tail = data[at:]
        if (len(tail) - len(tail.rstrip(b"\\"))) % 2:
            self._held = b"\\"
            return len(data) - 1
        return len(data)


def _end_of_string(data: bytes, at: int) -> int | None:
    """Return the place after the quote that ends the string which `at` is in, None if it goes on."""
    while found := _INSIDE.search(data, at):
        if found[0] == b'"':
            return found.end()
        at = found.end() + 1
    return None
