"""The scheduler on real adapters."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from qrt_chassis.bus.open import open_bus
from qrt_chassis.bus.port import Bus
from qrt_chassis.lifecycle import Service
from qrt_chassis.store import open_store
from qrt_scheduler import handlers
from qrt_scheduler.adapters.mongo import MongoJobs, MongoOutputs
from qrt_scheduler.ports import Clock
from qrt_scheduler.service.changes import Changes
from qrt_scheduler.service.dispatcher import Dispatcher
from qrt_scheduler.service.history import History
from qrt_scheduler.service.jobs import Jobs
from qrt_scheduler.service.outbox import Outbox
from qrt_scheduler.service.prospects import Prospects
from qrt_scheduler.service.recent import Recent
from qrt_scheduler.service.retention import Retention
from qrt_scheduler.service.room import QueueLimits, Room
from qrt_scheduler.service.trusted import Trusted
from qrt_scheduler.settings import SchedulerSettings


def utc_now() -> datetime:
    """Return the present time, aware."""
    return datetime.now(UTC)


async def keep_indexes(jobs: MongoJobs, outputs: MongoOutputs) -> None:
    """Make the indexes as soon as there is a database; nothing but speed depends on them."""
    await jobs.prepare()
    await outputs.prepare()
    await asyncio.Event().wait()


@asynccontextmanager
async def compose(
    settings: SchedulerSettings, *, bus: Bus | None = None, clock: Clock = utc_now
) -> AsyncIterator[Service]:
    """Build one scheduler replica; leaving the context releases everything in reverse order."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings.mongo))
        if bus is None:
            bus = await stack.enter_async_context(open_bus(settings.bus, name="scheduler"))
        jobs, outputs = MongoJobs(store), MongoOutputs(store)
        outbox = Outbox(bus=bus, jobs=jobs, clock=clock)
        stack.push_async_callback(outbox.clear_now)
        recent, trusted = Recent(), Trusted(monotonic=time.monotonic)
        history = History(jobs=jobs, outputs=outputs, trusted=trusted)
        dispatcher = Dispatcher(
            bus=bus,
            jobs=jobs,
            changes=Changes(jobs=jobs, outbox=outbox, recent=recent, trusted=trusted),
            recent=recent,
            clock=clock,
            monotonic=time.monotonic,
            lease_seconds=settings.lease_seconds,
            owner_limit=settings.max_running_per_owner,
            memory_seconds=settings.remember_executors_seconds,
        )
        room = Room(
            jobs=jobs,
            limits=QueueLimits(total=settings.max_queued, owner=settings.max_queued_per_owner),
            clock=clock,
        )
        keep = timedelta(days=settings.keep_days)
        retention = Retention(jobs=jobs, outputs=outputs, keep=keep, clock=clock)
        owners = Jobs(
            jobs=jobs,
            outputs=outputs,
            outbox=outbox,
            room=room,
            recent=recent,
            prospects=Prospects(jobs=jobs, clock=clock),
            clock=clock,
        )
        for subscribed in (
            await bus.subscribe(handlers.HISTORY, handlers.outputs(history)),
            await bus.subscribe(
                handlers.DISPATCH, handlers.dispatch(dispatcher), on_restored=dispatcher.forget
            ),
            await bus.serve("scheduler", handlers.commands(owners, history)),
        ):
            stack.push_async_callback(subscribed.cancel)
        yield Service(
            name="scheduler",
            loops={
                "indexes": partial(keep_indexes, jobs, outputs),
                "outbox": outbox.run,
                "outbox-clear": outbox.clear,
                "outbox-sweep": outbox.sweep,
                "dispatch": dispatcher.dispatch,
                "leases": dispatcher.watch_leases,
                "retention": retention.run,
            },
            pings={"bus": bus.ping, "mongo": store.ping},
        )
