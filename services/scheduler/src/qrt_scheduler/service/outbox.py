"""Publishing what stored changes promise: at once, and again after a crash.

A change and its events are one document. `send` publishes them right after the change was stored;
whatever a crash kept from being published is found by `sweep`. Emptying outboxes is done in
batches, later: most have been replaced by the job's next change by then.
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
CLEAR_EVERY_SECONDS = 0.5
CLEAR_BATCH = 500
SWEEP_EVERY_SECONDS = 15.0
LEFT_BEHIND = timedelta(seconds=10)
"""An outbox older than this was left behind by a crash or is stuck behind an outage."""


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
        self._sent: list[Outgoing] = []

    async def send(self, item: Outgoing) -> None:
        """Publish soon. The events are stored already: a crash before then loses nothing."""
        await self._queue.put(item)

    async def run(self) -> None:
        """Publish for as long as the service lives."""
        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL):
                group.create_task(self._publish_each())

    async def clear(self) -> None:
        """Empty the outboxes of what was published, every half second, in batches."""
        while True:
            await asyncio.sleep(CLEAR_EVERY_SECONDS)
            await self.clear_now()

    async def clear_now(self) -> None:
        """Empty the outboxes of what was published so far."""
        while batch := self._sent[:CLEAR_BATCH]:
            await self._jobs.sent(batch)
            del self._sent[: len(batch)]

    async def sweep(self) -> None:
        """Publish what crashes left behind, at start and every now and then."""
        while True:
            now = self._clock()
            for item in await self._jobs.unsent(
                before=now - LEFT_BEHIND, after=now + LEFT_BEHIND, limit=CLEAR_BATCH
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
            self._sent.append(item)
