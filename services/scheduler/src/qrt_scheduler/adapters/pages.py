"""Pages of a long list of jobs, without sorting the list anew for each of them.

A sorted read costs MongoDB what it returns, and the embedded server what it could return: all jobs of an
owner. So whoever asks for a second page makes the ids of many pages known, and jobs are read by them.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qrt_chassis.bounded import Bounded
from qrt_chassis.store import Store

Document = dict[str, Any]
AHEAD = 10_000
"""Ids read at once."""
LISTS = 8
"""Lists whose ids are known at a time; of more, those that were read last."""
KNOWN_SECONDS = 30.0
SETTLED_SECONDS = 60.0
"""A job is stored a moment after its id was made: ids older than this are all there."""
_STEADY = frozenset({"owner", "run.program_id", "tags"})
"""What never changes of a job: only lists by these may be known for a while."""


@dataclass(frozen=True, slots=True)
class _Known:
    ids: Sequence[str]
    """Newest first."""
    whole: bool
    """Nothing comes after them."""
    until: float


class Pages:
    """Reads pages of the jobs in a database, newest first."""

    def __init__(
        self,
        store: Store,
        database: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._jobs = store.database(database)["jobs"]
        self._monotonic = monotonic
        self._wall = wall
        self._known: Bounded[tuple[tuple[str, str], ...], _Known] = Bounded(LISTS)

    async def read(self, query: Mapping[str, Any], *, limit: int, before: str | None) -> list[Document]:
        """Return up to `limit` documents that match, with ids below `before`."""
        if before is None:
            return await self._sorted(query, limit=limit)
        below = {**query, "_id": {"$lt": before}}
        if not _STEADY.issuperset(query) or not self._settled(before):
            return await self._sorted(below, limit=limit)
        ids, whole = await self._ids(query, limit=limit, before=before)
        found = await self._by_ids(query, ids, limit=limit)
        if len(found) == limit or whole:
            return found
        return await self._sorted(
            below, limit=limit
        )  # so many were deleted that the known ids do not suffice

    async def _sorted(self, query: Mapping[str, Any], *, limit: int) -> list[Document]:
        return [each async for each in self._jobs.find(query).sort("_id", -1).limit(limit)]

    async def _by_ids(self, query: Mapping[str, Any], ids: Sequence[str], *, limit: int) -> list[Document]:
        """Return documents of the first ids that still are; deleted ones make room for those after them."""
        found: list[Document] = []
        at = 0
        while at < len(ids) and len(found) < limit:
            some = ids[at : at + limit - len(found)]
            at += len(some)
            there = {
                each["_id"]: each async for each in self._jobs.find({**query, "_id": {"$in": list(some)}})
            }
            found += [there[each] for each in some if each in there]
        return found

    async def _ids(self, query: Mapping[str, Any], *, limit: int, before: str) -> tuple[Sequence[str], bool]:
        """Return the known ids below `before`, and whether these are all; reads where too few are known."""
        key = tuple(sorted((name, repr(value)) for name, value in query.items()))
        known = self._known.get(key)
        if known is not None and known.until > self._monotonic():
            rest = _below(known.ids, before)
            # Where the list does not reach above `before`, nobody knows what stands between.
            if len(rest) < len(known.ids) and (known.whole or len(rest) >= limit):
                return rest, known.whole
        below = {**query, "_id": {"$lt": before}}
        found = self._jobs.find(below, {"_id": 1}).sort("_id", -1).limit(AHEAD)
        ids = [before, *[each["_id"] async for each in found]]
        whole = len(ids) <= AHEAD
        self._known[key] = _Known(ids, whole, self._monotonic() + KNOWN_SECONDS)
        return ids[1:], whole

    def _settled(self, identifier: str) -> bool:
        made = int(identifier[:12], 16) / 1000
        return self._wall() - made > SETTLED_SECONDS


def _below(ids: Sequence[str], before: str) -> Sequence[str]:
    """Return the ids below one, of ids in falling order."""
    return ids[bisect_left(range(len(ids)), True, key=lambda at: ids[at] < before) :]
