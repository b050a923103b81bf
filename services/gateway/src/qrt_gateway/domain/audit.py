"""Entries of the audit log, and how they are found again. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from qrt_contracts.faults import InvalidRequest

MAX_TEXT = 256
"""Characters of what an entry says of a request."""
_PLACE = re.compile(r"([0-9a-f]{32})\.([0-9]{1,4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that an account did or was refused."""

    id: str
    at: datetime
    account: str
    token: str | None
    action: str
    resource: str
    outcome: str
    address: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Entries that were stored at once, oldest first."""

    entries: tuple[Entry, ...]

    @property
    def id(self) -> str:
        """Sorts buckets by their newest entry."""
        return self.entries[-1].id


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: before the entry at `index` of a bucket."""

    bucket: str
    index: int

    @classmethod
    def of(cls, cursor: str) -> "Place":
        """Return what a cursor stands for. Raises: InvalidRequest."""
        if (found := _PLACE.fullmatch(cursor)) is None:
            raise InvalidRequest("cursor is not one that a page of this log gave", field="cursor")
        return cls(found[1], int(found[2]))

    def __str__(self) -> str:
        return f"{self.bucket}.{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries to read; None is any."""

    account: str | None = None
    action: str | None = None

    def found_in(self, buckets: Sequence[Bucket], *, before: Place | None) -> Iterator[tuple[Place, Entry]]:
        """Yield the wanted entries of buckets, newest first, each with where it stands."""
        for bucket in buckets:
            stop = len(bucket.entries)
            if before is not None and before.bucket == bucket.id:
                stop = min(stop, before.index)
            for index in range(stop - 1, -1, -1):
                entry = bucket.entries[index]
                if self.account in (None, entry.account) and self.action in (None, entry.action):
                    yield Place(bucket.id, index), entry
