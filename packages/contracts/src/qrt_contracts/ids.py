"""Identifiers: UUIDv7 written as 32 lower-case hex digits.

Version 7 ids sort by creation time, so that an index on `_id` is also an index on age.
Source: RFC 9562, section 5.7.
"""

import os
import time
from typing import Annotated, NewType
from uuid import UUID

from pydantic import StringConstraints

ProgramId = NewType("ProgramId", str)
JobId = NewType("JobId", str)
ExecutorId = NewType("ExecutorId", str)

HexId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""A well-formed id as it stands in URLs and messages."""


def new_id() -> str:
    """Return a fresh UUIDv7: 48 bits of milliseconds, 12 of sub-millisecond, 62 random."""
    now = time.time_ns()
    milliseconds, rest = divmod(now, 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random_bits = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76 | fraction << 64 | 0b10 << 62 | random_bits
    return f"{value:032x}"


def dashed(identifier: str) -> str:
    """Return the 8-4-4-4-12 form that the Kipu surface writes."""
    return str(UUID(hex=identifier))


def plain(identifier: str) -> str | None:
    """Return the 32-digit form of an id written either way, None if it is neither."""
    try:
        return UUID(identifier).hex
    except ValueError:
        return None
