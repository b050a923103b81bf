"""Whether any executor can ever run a job: asked before it is stored.

*Ever* is as far as can be known: some executor that is connected, or was within the time for which they are
remembered, has what the job needs, free or not. While no executor is known at all nothing is refused: the job
waits, as all others do, for the first one.
"""

import asyncio
from datetime import datetime, timedelta

from qrt_contracts.values import ProgramKind, RunSpec
from qrt_scheduler.domain.needs import Needs
from qrt_scheduler.domain.place import STALE, Snapshot
from qrt_scheduler.ports import Clock, JobStore

FRESH = timedelta(seconds=1)
YOUNG = timedelta(seconds=10)
"""A replica is, that began so lately: the whole runtime may just be starting."""
LOOKS = 14
"""How often the dispatcher's view is looked at anew while it has not heard all executors."""
LOOK_SECONDS = 0.5


class Prospects:
    """What the dispatcher knows of executors, up to a second old."""

    def __init__(self, *, jobs: JobStore, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._since = clock()
        self._snapshot: Snapshot | None = None
        self._read: datetime | None = None

    async def never(self, run: RunSpec) -> str | None:
        """Return why no executor can run this, None if one can or nobody knows.

        Just after a dispatcher began, the answer waits until it has heard who is there. Just after this
        replica began it waits for a dispatcher too, if the job is one that not every executor can run.
        """
        needs = Needs.of(run.kind, run.resources)
        patient = needs.declared or needs.kind is ProgramKind.CONTAINER
        for _ in range(LOOKS):
            snapshot = await self._newest()
            if snapshot is not None and snapshot.known and self._clock() - snapshot.at <= STALE:
                lack = snapshot.never(needs)
                if lack is None or snapshot.settled:
                    return lack
            elif not patient or self._clock() - self._since > YOUNG:
                return None
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def _newest(self) -> Snapshot | None:
        now = self._clock()
        if self._read is None or abs(now - self._read) >= FRESH:
            self._read, self._snapshot = now, await self._jobs.snapshot()
        return self._snapshot
