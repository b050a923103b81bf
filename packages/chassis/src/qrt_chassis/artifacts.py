"""The artifact store: immutable blobs addressed by the sha256 of their content, in GridFS's layout.

The chunks are written first, under a fresh id, while they are hashed; the entry in `fs.files` that
makes them a blob comes last, named by the digest. A unique index on that name decides between two
that store the same content at once. The driver's own GridFS writer is not used: it gathers tens of
megabytes before it sends any, and shows a blob only under a name known beforehand.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from qrt_chassis import metrics
from qrt_chassis.store import Store, keep_index
from qrt_contracts.faults import NotFound, TooLarge
from qrt_contracts.ids import new_id
from qrt_contracts.values import INLINE_BYTES, Artifact, Payload

UPLOAD_GRACE = timedelta(hours=1)
"""How long an upload is there that nobody has accepted: many times what judging one may take."""
_UNTIL = "kept_until"
_SWEPT = 1000
"""Uploads removed at a time."""
CHUNK_BYTES = 1024 * 1024
"""A blob is stored in pieces of this size; a read holds one of them at a time."""


class ArtifactStore:
    """Content-addressed blobs. Everything streams: no blob is ever whole in memory."""

    def __init__(self, store: Store, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        database = store.database("artifacts")
        self._files = database["fs.files"]
        self._chunks = database["fs.chunks"]
        self._clock = clock
        self._indexed = False

    async def put(
        self,
        data: bytes | AsyncIterable[bytes],
        *,
        limit: int | None = None,
        upload: bool = False,
    ) -> Artifact:
        """Store `data` and return its address; storing the same content twice keeps one copy.

        A put that fails or is cancelled before all is written leaves nothing behind. An `upload`, which may
        be refused yet, is there for `UPLOAD_GRACE`, and for good once it was kept, or put otherwise.

        Raises:
            TooLarge: more than `limit` bytes.
        """
        await self._ensure_indexes()
        until = self._clock() + UPLOAD_GRACE if upload else None
        if isinstance(data, bytes):
            _check(len(data), limit)
            known = Artifact(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
            if await self._extend(known.sha256, until):
                metrics.ARTIFACTS_STORED.labels("duplicate").inc()
                return known
        identifier = new_id()
        try:
            artifact = await self._write_chunks(identifier, data, limit=limit)
            published = await self._publish(identifier, artifact, until)
            while not published and not await self._extend(artifact.sha256, until):
                published = await self._publish(identifier, artifact, until)  # the other copy has just gone
        except BaseException:
            metrics.ARTIFACTS_STORED.labels("refused").inc()
            await _to_its_end(self._abandon(identifier))
            raise
        if not published:
            await _to_its_end(self._abandon(identifier))
        metrics.ARTIFACTS_STORED.labels("new" if published else "duplicate").inc()
        return artifact

    async def _write_chunks(
        self, identifier: str, data: bytes | AsyncIterable[bytes], *, limit: int | None
    ) -> Artifact:
        digest, size, number = hashlib.sha256(), 0, 0
        async for chunk in _chunked(data):
            size += len(chunk)
            _check(size, limit)
            digest.update(chunk)
            await _to_its_end(self._chunks.insert_one({"files_id": identifier, "n": number, "data": chunk}))
            number += 1
        metrics.ARTIFACT_BYTES.labels("written").inc(size)
        return Artifact(sha256=digest.hexdigest(), size=size)

    async def _publish(self, identifier: str, artifact: Artifact, until: datetime | None) -> bool:
        """Make the chunks a blob; False if there is one of that digest already."""
        entry: dict[str, Any] = {
            "_id": identifier,
            "filename": artifact.sha256,
            "length": artifact.size,
            "chunkSize": CHUNK_BYTES,
            "uploadDate": datetime.now(UTC),
        }
        if until is not None:
            entry[_UNTIL] = until
        try:
            await _to_its_end(self._files.insert_one(entry))
        except DuplicateKeyError:
            return False
        return True

    async def _extend(self, sha256: str, until: datetime | None) -> bool:
        """Let a blob stay until a moment, or for good; False if there is none, or none any more."""
        while (found := await self._find(sha256)) is not None:
            if _UNTIL not in found:
                return True
            change = {"$unset": {_UNTIL: ""}} if until is None else {"$set": {_UNTIL: until}}
            # One that was kept meanwhile has no end any more, and must not be given one.
            as_seen = {"_id": found["_id"], _UNTIL: found[_UNTIL]}
            if (await self._files.update_one(as_seen, change)).matched_count:
                return True
        return False

    async def keep(self, sha256: str) -> None:
        """Let an upload stay for good; no error if there is none."""
        await self._extend(sha256, None)

    async def sweep(self) -> int:
        """Remove the uploads that were not kept in time; return how many. Safe to do by many at once."""
        await self._ensure_indexes()
        now, gone = self._clock(), 0
        async for each in self._files.find({_UNTIL: {"$lt": now}}, {"_id": 1}).limit(_SWEPT):
            # Whoever keeps it, or uploads it again, at this very moment changes this one entry.
            result = await self._files.delete_one({"_id": each["_id"], _UNTIL: {"$lt": now}})
            if result.deleted_count:
                await self._chunks.delete_many({"files_id": each["_id"]})
                gone += 1
        return gone

    async def read(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`, without reading the others.

        Raises:
            NotFound: there is no such artifact, or it was deleted while it was read.
        """
        found = await self._find(sha256)
        if found is None:
            raise NotFound(f"there is no artifact {sha256}")
        end = found["length"] if end is None else min(end, found["length"])
        width = found["chunkSize"]
        for number in range(start // width, -(-end // width) if end > start else 0):
            chunk = await self._chunks.find_one({"files_id": found["_id"], "n": number})
            if chunk is None:
                raise NotFound(f"the artifact {sha256} is gone")
            first = number * width
            piece = bytes(chunk["data"][max(0, start - first) : end - first])
            metrics.ARTIFACT_BYTES.labels("read").inc(len(piece))
            yield piece

    async def read_all(self, sha256: str, *, limit: int) -> bytes:
        """Return the whole content.

        Raises:
            NotFound: there is no such artifact.
            TooLarge: it holds more than `limit` bytes.
        """
        content = bytearray()
        async for piece in self.read(sha256, end=limit + 1):
            content += piece
        _check(len(content), limit)
        return bytes(content)

    async def delete(self, sha256: str) -> None:
        """Remove an artifact; no error if there is none."""
        found = await self._find(sha256)
        if found is not None:
            await self._remove(found["_id"])

    async def wrap(self, text: str) -> Payload:
        """Return `text` as a payload: inline while it is small, as an artifact otherwise."""
        data = text.encode()
        if len(data) <= INLINE_BYTES:
            return Payload(text=text)
        return Payload(artifact=await self.put(data))

    async def unwrap(self, payload: Payload, *, limit: int) -> str:
        """Return the text of a payload.

        Raises:
            NotFound: its artifact is gone.
            TooLarge: it holds more than `limit` bytes.
        """
        if payload.artifact is not None:
            return (await self.read_all(payload.artifact.sha256, limit=limit)).decode()
        _check(payload.size, limit)
        return payload.text or ""

    async def _find(self, sha256: str) -> dict[str, Any] | None:
        return await self._files.find_one({"filename": sha256})

    async def _remove(self, identifier: str) -> None:
        """Remove a blob; its entry goes first, so that no reader begins on half of it."""
        await self._files.delete_one({"_id": identifier})
        await self._chunks.delete_many({"files_id": identifier})

    async def _abandon(self, identifier: str) -> None:
        """Remove the chunks of what did not become a blob.

        If its entry is there after all, and only the answer was lost, the blob stays: somebody who
        stored the same content meanwhile counts on it.
        """
        if await self._files.find_one({"_id": identifier}) is None:
            await self._chunks.delete_many({"files_id": identifier})

    async def _ensure_indexes(self) -> None:
        if not self._indexed:
            await keep_index(self._files, "filename", unique=True, name="one_per_digest")
            await keep_index(self._files, _UNTIL, sparse=True)
            await keep_index(self._chunks, [("files_id", 1), ("n", 1)], unique=True)
            self._indexed = True


def _check(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise TooLarge(f"more than the {limit} bytes allowed")


async def _chunked(data: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield `data` in chunks of `CHUNK_BYTES`, the last one shorter."""
    if isinstance(data, bytes):
        for first in range(0, len(data), CHUNK_BYTES):
            yield data[first : first + CHUNK_BYTES]
        return
    pending = bytearray()
    async for piece in data:
        for first in range(0, len(piece), CHUNK_BYTES):
            pending += piece[first : first + CHUNK_BYTES]
            if len(pending) >= CHUNK_BYTES:
                yield bytes(pending[:CHUNK_BYTES])
                del pending[:CHUNK_BYTES]
    if pending:
        yield bytes(pending)


async def _to_its_end(call: Awaitable[Any]) -> None:
    """Await a call that runs in a thread of the driver and goes on there if we are cancelled.

    What is done after it, as a clean-up, must not overtake it.
    """
    running = asyncio.ensure_future(call)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
