"""The header `Range` of RFC 9110: which bytes of a file are asked for. Pure."""

import re
from dataclasses import dataclass

_ONE = re.compile(r"bytes\s*=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range lies wholly beyond the file's end."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `start` up to, not including, `end`."""

    start: int
    end: int


def asked_range(header: str | None, *, size: int) -> ByteRange | None:
    """Return the part of a file that a `Range` header asks for; None for the whole file.

    Several ranges at once, other units and what is malformed are answered by the whole file, as the
    standard allows.

    Raises:
        Unsatisfiable: there are no such bytes.
    """
    match = None if header is None else _ONE.fullmatch(header)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise Unsatisfiable(f"the file has {size} bytes")
    return ByteRange(start, end)
