"""Whether there is room for another queued job: backpressure before anything is stored.

Counts come from the dispatcher's snapshot, up to a second old, plus what this replica has accepted
since. They bound the queue; they are not exact to the last job.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from qrt_contracts.values import RunSpec
from qrt_scheduler.domain.place import Snapshot
from qrt_scheduler.ports import Clock, JobStore

FRESH = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How many jobs may wait."""

    total: int
    owner: int


class Room:
    """Counts of queued jobs, close enough to refuse what is too much."""

    def __init__(self, *, jobs: JobStore, limits: QueueLimits, clock: Clock) -> None:
        self._jobs = jobs
        self._limits = limits
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._read: datetime | None = None
        self._owners: Counter[str] = Counter()
        self._programs: Counter[str] = Counter()

    async def check(self, owner: str, run: RunSpec) -> str | None:
        """Return why another job of this owner and program cannot be queued now, None if it can."""
        await self._refresh()
        queued = self._snapshot.queued if self._snapshot else {}
        waiting = self._snapshot.waiting if self._snapshot else {}
        total = sum(queued.values()) + self._owners.total()
        own = queued.get(owner, 0) + self._owners[owner]
        if total >= self._limits.total:
            return f"{total} jobs are queued; the limit is {self._limits.total}"
        if own >= self._limits.owner:
            return f"{own} of your jobs are queued; the limit is {self._limits.owner}"
        program = waiting.get(run.program_id, 0) + self._programs[run.program_id]
        if run.quota.queued is not None and program >= run.quota.queued:
            return f"{program} jobs of this program are queued; its limit is {run.quota.queued}"
        return None

    def took(self, owner: str, run: RunSpec) -> None:
        """Count a job that was just queued."""
        self._owners[owner] += 1
        self._programs[run.program_id] += 1

    async def _refresh(self) -> None:
        now = self._clock()
        if self._read is not None and now - self._read < FRESH:
            return
        self._read = now
        newest = await self._jobs.snapshot()
        if newest != self._snapshot:
            self._snapshot = newest
            self._owners.clear()
            self._programs.clear()
