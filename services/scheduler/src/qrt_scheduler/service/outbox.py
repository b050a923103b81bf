"""Publishing what stored changes promise: at once, and again after a crash.

A change and its events are one document. `send` publishes them right after the change was stored;
whatever a crash kept from being published is found by `sweep`. Emptying outboxes is done in
batches, a few seconds later: most have been replaced by the job's next change by then.
"""

import asyncio
import logging
from datetime import timedelta
from functools import partial

from qrt_chassis import tracing
from qrt_chassis.bus.port import Bus
from qrt_chassis.patience import patiently
from qrt_contracts.events import Event
from qrt_contracts.ids import new_id
from qrt_scheduler.ports import Clock, JobStore, Outgoing

log = logging.getLogger(__name__)

WAITING = 10_000
"""Changes whose events wait to be published; beyond it whoever stores a change waits too."""
PARALLEL = 32
CLEAR_AFTER_SECONDS = 4.0
"""How long the outbox of what was published is left for the job's next change to replace."""
CLEAR_EVERY_SECONDS = 1.0
CLEAR_BATCH = 32
"""Outboxes emptied by one write. Of more at once each costs more: they are looked up among each other."""
SWEEP_EVERY_SECONDS = 15.0
SWEPT = 500
LEFT_BEHIND = timedelta(seconds=10)
"""An outbox older than this was left behind by a crash or is stuck behind an outage: others are empty."""


def outgoing(job_id: str, *events: Event) -> Outgoing:
    """Return the outbox of one change of a job."""
    return Outgoing(token=new_id(), job_id=job_id, events=events, trace=tracing.carried())


class Outbox:
    """Publishes outgoing events and empties their outboxes."""

    def __init__(self, *, bus: Bus, jobs: JobStore, clock: Clock) -> None:
        self._bus = bus
        self._jobs = jobs
        self._clock = clock
        self._queue: asyncio.Queue[Outgoing] = asyncio.Queue(WAITING)
        self._sent: dict[str, tuple[float, Outgoing]] = {}
        """What was published last of each job, and when: its outbox may still be there."""

    async def send(self, item: Outgoing) -> None:
        """Publish soon. The events are stored already: a crash before then loses nothing."""
        self._sent.pop(item.job_id, None)  # this change has replaced that outbox
        await self._queue.put(item)

    async def run(self) -> None:
        """Publish for as long as the service lives."""
        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL):
                group.create_task(self._publish_each())

    async def clear(self) -> None:
        """Empty the outboxes of what was published some seconds ago, in batches, for ever."""
        while True:
            await asyncio.sleep(CLEAR_EVERY_SECONDS)
            await self._clear(until=_now() - CLEAR_AFTER_SECONDS)

    async def clear_now(self) -> None:
        """Empty the outboxes of what was published so far."""
        await self._clear(until=_now())

    async def _clear(self, *, until: float) -> None:
        due = [item for at, item in self._sent.values() if at <= until]
        for first in range(0, len(due), CLEAR_BATCH):
            batch = due[first : first + CLEAR_BATCH]
            await self._jobs.sent(batch)
            for item in batch:
                if self._sent.get(item.job_id, (0.0, None))[1] is item:
                    del self._sent[item.job_id]

    async def sweep(self) -> None:
        """Publish what crashes left behind, at start and every now and then."""
        while True:
            now = self._clock()
            for item in await self._jobs.unsent(
                before=now - LEFT_BEHIND, after=now + LEFT_BEHIND, limit=SWEPT
            ):
                log.info("publishing events that were left behind", extra={"job_id": item.job_id})
                await self.send(item)
            await asyncio.sleep(SWEEP_EVERY_SECONDS)

    async def _publish_each(self) -> None:
        while True:
            item = await self._queue.get()
            with tracing.step("outbox", parent=item.trace, job_id=item.job_id):
                for event in item.events:
                    await patiently(partial(self._bus.publish, event), what="publishing an event")
            self._sent[item.job_id] = (_now(), item)


def _now() -> float:
    return asyncio.get_running_loop().time()
