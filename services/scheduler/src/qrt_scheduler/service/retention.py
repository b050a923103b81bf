"""Forgetting ended jobs when their time is over."""

import asyncio
import logging
from datetime import timedelta

from qrt_scheduler.ports import Clock, JobStore, OutputStore

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
BATCH = 500


class Retention:
    """Deletes jobs, with their outputs, that ended longer ago than they are kept; keys likewise."""

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
        """Delete one batch; returns how many jobs were deleted."""
        before = self._clock() - self._keep
        await self._jobs.forget_keys(before)
        deleted = 0
        for job_id in await self._jobs.ended_before(before, limit=BATCH):
            deleted += await forget(job_id, jobs=self._jobs, outputs=self._outputs)
        if deleted:
            log.info("forgot %d jobs that ended more than %s ago", deleted, self._keep)
        return deleted


async def forget(job_id: str, *, jobs: JobStore, outputs: OutputStore) -> bool:
    """Delete an ended job with its outputs; False if there is none."""
    # Before the job, so that a crash in between leaves no orphans; and after it, for those that came
    # in the meantime: without a job none is stored any more.
    await outputs.delete(job_id)
    deleted = await jobs.delete(job_id)
    await outputs.delete(job_id)
    return deleted
