"""The audit log in MongoDB, database `gateway`, collection `audit`.

One document holds the entries that one gateway wrote at once: a thousand requests a second are two writes.
"""

from dataclasses import fields
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from qrt_chassis.store import Store, keep_index
from qrt_gateway.domain.audit import Bucket, Entry, Wanted

_FIELDS = tuple(each.name for each in fields(Entry))


class MongoAudit:
    """The `AuditStore` port."""

    def __init__(self, store: Store) -> None:
        self._audit = store.database("gateway")["audit"]

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat, by several replicas at once."""
        await keep_index(self._audit, "at")
        await keep_index(self._audit, "accounts")
        await keep_index(self._audit, "actions")

    async def add(self, bucket: Bucket) -> None:
        """Store entries; the same again changes nothing."""
        document = {
            "_id": bucket.id,
            "at": bucket.entries[-1].at,
            "accounts": sorted({each.account for each in bucket.entries}),
            "actions": sorted({each.action for each in bucket.entries}),
            "entries": [{name: getattr(each, name) for name in _FIELDS} for each in bucket.entries],
        }
        try:
            await self._audit.insert_one(document)
        except DuplicateKeyError:
            return

    async def buckets(self, wanted: Wanted, *, upto: str | None, limit: int) -> list[Bucket]:
        """Return up to `limit` buckets that hold wanted entries, newest first, from `upto` on."""
        query: dict[str, Any] = {}
        if wanted.account is not None:
            query["accounts"] = wanted.account
        if wanted.action is not None:
            query["actions"] = wanted.action
        if upto is not None:
            query["_id"] = {"$lte": upto}
        found = self._audit.find(query).sort("_id", -1).limit(limit)
        return [Bucket(tuple(Entry(**entry) for entry in each["entries"])) async for each in found]

    async def forget(self, before: datetime) -> None:
        """Remove buckets whose newest entry is of before a moment."""
        await self._audit.delete_many({"at": {"$lt": before}})
