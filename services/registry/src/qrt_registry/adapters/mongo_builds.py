"""Builds in MongoDB, database `registry`.

`builds` holds those that have not ended, few at any time. `build_logs` holds one bounded document for each
version that was ever built; `locks` what requirements have come to, for a while.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from qrt_chassis.store import Store, keep_index
from qrt_contracts.values import Payload
from qrt_registry.orders import OpenBuild, build_key

MAX_LOG_LINES = 20_000
MAX_LOG_CHARACTERS = 1 << 20
MAX_LINE_CHARACTERS = 2_000
FULL = "(the log goes on; it is kept up to here)"
_TIMES = ("opened_at", "due_at")


class MongoBuilds:
    """The `BuildStore` port."""

    def __init__(self, store: Store) -> None:
        database = store.database("registry")
        self._open = database["builds"]
        self._logs = database["build_logs"]
        self._locks = database["locks"]

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat, by several replicas at once."""
        await keep_index(self._open, "program_id")
        await keep_index(self._logs, "program_id")

    async def open(self, build: OpenBuild) -> None:
        """Keep an open build; one of the same version stays as it is."""
        with suppress(DuplicateKeyError):
            await self._open.insert_one(_document(build))

    async def forget_log(self, key: str) -> None:
        """Forget a log."""
        await self._logs.delete_one({"_id": key})

    async def get(self, program_id: str, version: int) -> OpenBuild | None:
        """Return the open build of a version."""
        found = await self._open.find_one({"_id": build_key(program_id, version)})
        return _build(found) if found else None

    async def all_open(self) -> list[OpenBuild]:
        """Return all open builds."""
        return [_build(each) async for each in self._open.find({})]

    async def change(self, seen: OpenBuild, to: OpenBuild) -> bool:
        """Store an open build as `to`, if it still is as `seen`."""
        fields = _document(to)
        del fields["_id"]
        guard = {"_id": seen.key, "due_at": seen.due_at.isoformat(), "orders": seen.orders}
        result = await self._open.update_one(guard, {"$set": fields})
        return bool(result.matched_count)

    async def close(self, key: str) -> None:
        """Forget an open build."""
        await self._open.delete_one({"_id": key})

    async def forget(self, program_id: str) -> None:
        """Forget all builds of a program and their logs."""
        await self._open.delete_many({"program_id": program_id})
        await self._logs.delete_many({"program_id": program_id})

    async def add_lines(self, key: str, *, program_id: str, first: int, lines: Sequence[str]) -> None:
        """Append lines to a log, those that it does not have; it is bounded and says where it ends.

        The queue that brings them has one active consumer; the guard is for the moment that changes it.
        """
        found = await self._logs.find_one({"_id": key}, {"lines": 0}) or await self._begun(key, program_id)
        new = [line[:MAX_LINE_CHARACTERS] for line in lines[max(0, found["heard"] + 1 - first) :]]
        if not new or found["full"]:
            return
        count, characters = found["count"] + len(new), found["characters"] + sum(map(len, new))
        full = count > MAX_LOG_LINES or characters > MAX_LOG_CHARACTERS
        if full:
            new, count = [FULL], found["count"] + 1
        await self._logs.update_one(
            {"_id": key, "heard": found["heard"]},
            {
                "$set": {
                    "heard": first + len(lines) - 1, "count": count, "characters": characters, "full": full,
                },
                "$push": {"lines": {"$each": new}},
            },
        )  # fmt: skip

    async def _begun(self, key: str, program_id: str) -> dict[str, Any]:
        counts = {"heard": 0, "count": 0, "characters": 0, "full": False}
        try:
            await self._logs.insert_one({"_id": key, "program_id": program_id, "lines": [], **counts})
        except DuplicateKeyError:
            return await self._logs.find_one({"_id": key}, {"lines": 0}) or counts
        return counts

    async def lines(self, key: str, *, after: int) -> list[str]:
        """Return the lines of a log from `after` + 1 on."""
        counts = await self._logs.find_one({"_id": key}, {"count": 1})
        if counts is None or counts["count"] <= after:
            return []
        found = await self._logs.find_one({"_id": key}, {"lines": 1})
        return list(found["lines"][after:]) if found else []

    async def keep_lock(self, needs: str, lock: Payload, *, at: datetime, worth: timedelta) -> None:
        """Keep the lock of a set of requirements; forget those older than `worth`."""
        document = {"lock": lock.model_dump(mode="json"), "at": at.isoformat()}
        await self._locks.delete_many({"at": {"$lt": (at - worth).isoformat()}})
        await self._locks.update_one({"_id": needs}, {"$set": document}, upsert=True)

    async def lock(self, needs: str, *, since: datetime) -> Payload | None:
        """Return the lock of a set of requirements, if it was kept after `since`."""
        found = await self._locks.find_one({"_id": needs})
        if found is None or found["at"] < since.isoformat():
            return None
        return Payload.model_validate(found["lock"])


def _document(build: OpenBuild) -> dict[str, Any]:
    fields = asdict(build)
    return fields | {"_id": build.key} | {name: fields[name].isoformat() for name in _TIMES}


def _build(document: dict[str, Any]) -> OpenBuild:
    fields = {name: value for name, value in document.items() if name != "_id"}
    return OpenBuild(**fields | {name: datetime.fromisoformat(fields[name]) for name in _TIMES})
