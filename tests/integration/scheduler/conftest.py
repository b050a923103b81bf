"""A scheduler replica on the memory bus and the embedded database, and an executor played by the test."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.port import Subscribed, Subscription
from qrt_chassis.settings import MongoSettings
from qrt_chassis.store import Store, open_store
from qrt_chassis.tasks import Tasks
from qrt_contracts.commands import GetJob, SubmitJob
from qrt_contracts.events import (
    AttemptFinished,
    CancelAttempt,
    Heartbeat,
    JobOutput,
    RunAttempt,
    RunningAttempt,
    work_queue,
)
from qrt_contracts.ids import new_id
from qrt_contracts.jobs import Job
from qrt_contracts.message import Exchange
from qrt_contracts.states import JobState
from qrt_contracts.values import Isolation, Output, OutputKind, Payload
from qrt_scheduler import handlers
from qrt_scheduler.adapters.mongo import MongoJobs, MongoOutputs
from qrt_scheduler.compose import utc_now
from qrt_scheduler.service.changes import Changes
from qrt_scheduler.service.dispatcher import Dispatcher
from qrt_scheduler.service.history import History
from qrt_scheduler.service.jobs import Jobs
from qrt_scheduler.service.outbox import Outbox
from qrt_scheduler.service.prospects import Prospects
from qrt_scheduler.service.recent import Recent
from qrt_scheduler.service.room import QueueLimits, Room
from qrt_scheduler.service.trusted import Trusted
from tests.support.waiting import wait_until
from tests.unit.scheduler.factories import run_spec


@dataclass
class Replica:
    """One scheduler whose monotonic clock the test moves."""

    jobs: MongoJobs
    outputs: MongoOutputs
    outbox: Outbox
    dispatcher: Dispatcher
    history: History
    bus: MemoryBus
    seconds: float = 0.0

    async def submit(self, owner: str = "alice", **changes: object) -> Job:
        command = SubmitJob(
            caller=owner, job_id=new_id(), run=run_spec(), input=Payload(text='{"n": 1}')
        ).model_copy(update=changes)
        return (await self.bus.request(command)).job

    async def job(self, job_id: str, owner: str = "alice") -> Job:
        return (await self.bus.request(GetJob(caller=owner, job_id=job_id))).job

    async def until(self, job_id: str, status: JobState, owner: str = "alice") -> Job:
        async def there() -> bool:
            return (await self.job(job_id, owner)).status is status

        await wait_until(there, description=f"job {job_id} to be {status}")
        return await self.job(job_id, owner)


@asynccontextmanager
async def replica_on(bus: MemoryBus, store: Store) -> AsyncIterator[Replica]:
    jobs, outputs = MongoJobs(store), MongoOutputs(store)
    await jobs.prepare()
    await outputs.prepare()
    outbox = Outbox(bus=bus, jobs=jobs, clock=utc_now)
    recent, trusted = Recent(), Trusted(monotonic=time.monotonic)
    history = History(jobs=jobs, outputs=outputs, trusted=trusted)
    replica: Replica

    def monotonic() -> float:
        return replica.seconds

    dispatcher = Dispatcher(
        bus=bus,
        jobs=jobs,
        changes=Changes(jobs=jobs, outbox=outbox, recent=recent, trusted=trusted),
        recent=recent,
        clock=utc_now,
        monotonic=monotonic,
        lease_seconds=10,
    )
    replica = Replica(jobs, outputs, outbox, dispatcher, history, bus)
    room = Room(jobs=jobs, limits=QueueLimits(total=1000, owner=500), clock=utc_now)
    owners = Jobs(
        jobs=jobs,
        outputs=outputs,
        outbox=outbox,
        room=room,
        recent=recent,
        prospects=Prospects(jobs=jobs, clock=utc_now),
        clock=utc_now,
    )
    tasks = Tasks("scheduler under test")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(tasks.close)
        for subscribed in (
            await bus.subscribe(handlers.HISTORY, handlers.outputs(history)),
            await bus.subscribe(
                handlers.DISPATCH, handlers.dispatch(dispatcher), on_restored=dispatcher.forget
            ),
            await bus.serve("scheduler", handlers.commands(owners, history)),
        ):
            stack.push_async_callback(subscribed.cancel)
        for name, loop in (("outbox", outbox.run), ("dispatch", dispatcher.dispatch)):
            tasks.start(loop(), name=name)
        yield replica


@dataclass
class PlayedExecutor:
    """An executor that accepts orders and does what the test says."""

    bus: MemoryBus
    name: str = "e1"
    incarnation: str = field(default_factory=new_id)
    slots: int = 2
    orders: list[RunAttempt] = field(default_factory=list)
    repeated: list[RunAttempt] = field(default_factory=list)
    cancelled: list[CancelAttempt] = field(default_factory=list)
    running: set[tuple[str, int]] = field(default_factory=set)
    subscribed: Subscribed | None = None

    async def join(self) -> None:
        queue = work_queue(self.name, self.incarnation)
        self.subscribed = await self.bus.subscribe(
            Subscription(queue=queue, bindings=((Exchange.WORK, queue),), durable=False),
            {RunAttempt: self._accept, CancelAttempt: self._note},
        )
        await self.beat()

    async def vanish(self) -> None:
        if self.subscribed:
            await self.subscribed.cancel()

    async def _accept(self, order: RunAttempt) -> None:
        if any((each.job_id, each.attempt) == (order.job_id, order.attempt) for each in self.orders):
            self.repeated.append(order)
            return
        self.orders.append(order)
        self.running.add((order.job_id, order.attempt))

    async def _note(self, order: CancelAttempt) -> None:
        self.cancelled.append(order)

    async def beat(self, **changes: object) -> None:
        listed = tuple(RunningAttempt(job_id=job, attempt=n) for job, n in sorted(self.running))
        await self.bus.publish(
            Heartbeat(
                executor=self.name,
                incarnation=self.incarnation,
                slots=self.slots,
                running=listed,
                isolation=Isolation.PROCESS,
            ).model_copy(update=changes)
        )

    async def lose(self, replica: Replica) -> None:
        """Stop listing what runs here, for as long as it takes to be believed."""
        self.running.clear()
        known = len(self.repeated)
        replica.seconds += 6
        await self.beat()
        await wait_until(lambda: len(self.repeated) > known, description="the order again")
        replica.seconds += 6
        await self.beat()

    async def order(self, job_id: str) -> RunAttempt:
        def come() -> bool:
            return any(each.job_id == job_id for each in self.orders)

        await wait_until(come, description=f"an order to run {job_id}")
        return next(each for each in reversed(self.orders) if each.job_id == job_id)

    async def finish(self, order: RunAttempt, end: str = "succeeded", **changes: object) -> AttemptFinished:
        self.running.discard((order.job_id, order.attempt))
        event = AttemptFinished(
            job_id=order.job_id,
            attempt=order.attempt,
            executor=self.name,
            incarnation=self.incarnation,
            end=end,
            result=Payload(text='{"answer": 42}') if end == "succeeded" else None,
            started_at=utc_now(),
            ended_at=utc_now(),
            isolation=Isolation.PROCESS,
        ).model_copy(update=changes)
        await self.bus.publish(event)
        return event


def output(number: int, text: str = "x") -> Output:
    return Output(number=number, kind=OutputKind.LOG, stream="stdout", at=utc_now(), data=f"{text}{number}\n")


def batch(job: Job, attempt: int, *numbers: int) -> JobOutput:
    return JobOutput(job_id=job.id, attempt=attempt, outputs=tuple(output(each) for each in numbers))


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    bus = MemoryBus()
    yield bus
    await asyncio.wait_for(bus.close(), 10)


@pytest.fixture
async def store(mongo_url: str) -> AsyncIterator[Store]:
    settings = MongoSettings(url=SecretStr(mongo_url), prefix=f"t{new_id()[-12:]}-")
    async with open_store(settings) as store:
        yield store


@pytest.fixture
async def replica(bus: MemoryBus, store: Store) -> AsyncIterator[Replica]:
    async with replica_on(bus, store) as replica:
        yield replica


@pytest.fixture
async def executor(bus: MemoryBus, replica: Replica) -> PlayedExecutor:
    executor = PlayedExecutor(bus)
    await executor.join()
    return executor
