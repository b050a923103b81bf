"""Forgetting ended jobs when their time is over."""

import asyncio
import logging
from datetime import timedelta

from qrt_scheduler.ports import Clock, JobStore, OutputStore

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
BATCH = 500


class Retention:
    """Deletes jobs, with their outputs, that ended longer ago than they are kept."""

    def __init__(self, *, jobs: JobStore, outputs: OutputStore, keep: timedelta, clock: Clock) -> None:
        self._jobs = jobs
        self._outputs = outputs
        self._keep = keep
        self._clock = clock

    async def run(self) -> None:
        """Sweep at start and every minute."""
        while True:
            while await self.sweep() == BATCH:
                pass
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self) -> int:
        """Delete one batch; returns how many jobs were deleted. Outputs first: a crash leaves no orphan."""
        deleted = 0
        old = [job async for job in self._jobs.ended_before(self._clock() - self._keep, limit=BATCH)]
        for job in old:
            await self._outputs.delete(job.id)
            deleted += await self._jobs.delete(job)
        if deleted:
            log.info("forgot %d jobs that ended more than %s ago", deleted, self._keep)
        return deleted
