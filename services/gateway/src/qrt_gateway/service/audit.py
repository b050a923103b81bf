"""The audit log: what accounts changed and were refused, written beside the requests and not in their way."""

import asyncio
import logging
from collections import deque
from datetime import timedelta

from qrt_chassis.passing import is_passing
from qrt_gateway import metrics
from qrt_gateway.domain.audit import Bucket, Entry, Place, Wanted
from qrt_gateway.ports import AuditStore, Clock

log = logging.getLogger(__name__)

WRITE_SECONDS = 0.5
RETRY_SECONDS = 5.0
BUCKET = 500
"""Entries stored at once."""
WAITING = 10_000
"""Entries that wait to be stored; one more is counted and dropped."""
FORGET_SECONDS = 3600.0
BUCKETS_AT_ONCE = 10
MOST_READS = 50


class Audit:
    """One gateway's part of the log: it writes its own entries and reads everybody's."""

    def __init__(self, store: AuditStore, *, clock: Clock, keep: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep
        self._waiting: deque[Entry] = deque()
        self._writing = asyncio.Lock()
        self._full = False

    def note(self, entry: Entry) -> None:
        """Take an entry to be written soon."""
        if len(self._waiting) >= WAITING:
            metrics.AUDIT_DROPPED.inc()
            if not self._full:
                log.error("the audit log cannot be written fast enough: entries are dropped")
            self._full = True
            return
        self._full = False
        self._waiting.append(entry)

    async def write(self) -> None:
        """Write what waits, now and again, for ever."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.flush()
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("the audit log has to wait: %r", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def flush(self) -> None:
        """Write what waits; what cannot be written goes on waiting."""
        async with self._writing:
            while self._waiting:
                count = min(BUCKET, len(self._waiting))
                bucket = Bucket(tuple(self._waiting[index] for index in range(count)))
                await self._store.add(bucket)
                for _ in range(count):
                    self._waiting.popleft()

    async def forget(self) -> None:
        """Remove what is older than it is kept, now and again, for ever."""
        while True:
            await self._store.forget(self._clock() - self._keep)
            await asyncio.sleep(FORGET_SECONDS)

    async def page(
        self, wanted: Wanted, *, before: Place | None, limit: int
    ) -> tuple[list[Entry], Place | None]:
        """Return up to `limit` entries, newest first, and where the next page begins, None at the end.

        What this gateway has noted is among them. Entries of several gateways are in order to about a second.
        """
        await self.flush()
        found: list[tuple[Place, Entry]] = []
        upto = before.bucket if before else None
        for _ in range(MOST_READS):
            buckets = await self._store.buckets(wanted, upto=upto, limit=BUCKETS_AT_ONCE)
            found += wanted.found_in(buckets, before=before)
            if len(found) > limit:
                return [entry for _, entry in found[:limit]], found[limit - 1][0]
            if len(buckets) < BUCKETS_AT_ONCE:
                return [entry for _, entry in found], None
            upto = buckets[-1].id
            before = Place(upto, 0)
        return [entry for _, entry in found], before
