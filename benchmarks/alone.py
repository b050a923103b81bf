"""An executor by itself, on an in-process bus: an order until the attempt, all of it dead, is reported."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from benchmarks.jobs import PROGRAMS
from benchmarks.peers import driven
from benchmarks.peers.systems import SLOTS
from qrt_chassis.artifacts import ArtifactStore
from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.port import Subscription
from qrt_chassis.lifecycle import serve
from qrt_chassis.settings import BusSettings, HealthSettings, MongoSettings
from qrt_chassis.store import open_store
from qrt_contracts.events import AttemptFinished, Heartbeat, JobOutput, RunAttempt
from qrt_contracts.ids import new_id
from qrt_contracts.message import Exchange
from qrt_contracts.values import Artifact, Limits, Payload, ProgramKind, RunSpec
from qrt_executor.compose import compose
from qrt_executor.settings import ExecutorSettings
from tests.system.composition import PROGRAM_PYTHON


class AloneExecutor:
    """An executor on an in-process bus, with somebody who orders and counts ends."""

    def __init__(self, bus: MemoryBus, bundle: Artifact) -> None:
        self._bus = bus
        self._bundle = bundle
        self._ends: dict[str, asyncio.Future[AttemptFinished]] = {}
        self._ready: asyncio.Future[Heartbeat] = asyncio.get_running_loop().create_future()

    async def listen(self) -> None:
        """Hear heartbeats and ends."""
        patterns = ("executor.*.heartbeat", "job.*.finished", "job.*.output")
        await self._bus.subscribe(
            Subscription(queue="bench", bindings=tuple((Exchange.EVENTS, each) for each in patterns)),
            {Heartbeat: self._beat, AttemptFinished: self._end, JobOutput: self._ignore},
        )

    async def _beat(self, beat: Heartbeat) -> None:
        if beat.slots and not self._ready.done():
            self._ready.set_result(beat)

    async def _end(self, event: AttemptFinished) -> None:
        self._ends.pop(event.job_id).set_result(event)

    async def _ignore(self, event: JobOutput) -> None:
        del event

    async def run(self) -> AttemptFinished:
        """Order one attempt and return its end."""
        beat = await self._ready
        job_id = new_id()
        end: asyncio.Future[AttemptFinished] = asyncio.get_running_loop().create_future()
        self._ends[job_id] = end
        run = RunSpec(
            program_id=new_id(),
            program_name="hello",
            version=1,
            kind=ProgramKind.QUAFU,
            bundle=self._bundle,
            backend=None,
            limits=Limits(),
            max_attempts=3,
        )
        await self._bus.publish(
            RunAttempt(
                executor=beat.executor,
                incarnation=beat.incarnation,
                job_id=job_id,
                attempt=1,
                owner="bench",
                run=run,
                input=Payload(text="{}"),
            )
        )
        event = await end
        if event.end != "succeeded":
            raise SystemExit(f"the attempt ended as {event}")
        return event

    async def latency(self, runs: int) -> dict[str, Any]:
        """Run attempts one after the other; returns `seconds` of each, and that none is `lost`."""

        async def one() -> bool:
            await self.run()
            return True

        return await driven.latency(one, runs)

    async def rate(self, jobs: int) -> dict[str, Any]:
        """Run attempts in `SLOTS` slots; returns `seconds`, how many were `done`, and that none is `lost`."""
        left = iter(range(jobs))

        async def slot() -> None:
            for _ in left:
                await self.run()

        start = time.perf_counter()
        await asyncio.gather(*(slot() for _ in range(SLOTS)))
        return {"seconds": time.perf_counter() - start, "done": jobs, "lost": 0}


@asynccontextmanager
async def alone_executor(mongo: str) -> AsyncIterator[AloneExecutor]:
    """Run an executor by itself."""
    bus = MemoryBus()
    settings = ExecutorSettings(
        bus=BusSettings(url=SecretStr("memory://")),
        mongo=MongoSettings(url=SecretStr(mongo), prefix="bench-"),
        health=HealthSettings(port=0),
        name="bench",
        slots=SLOTS,
        program_python=PROGRAM_PYTHON,
        unsafe_process=True,
    )
    stop = asyncio.Event()
    async with open_store(settings.mongo) as store:
        bundle = await ArtifactStore(store).put(PROGRAMS["hello"].encode())
    async with compose(settings, bus=bus) as service, asyncio.TaskGroup() as group:
        group.create_task(serve([service], health=settings.health, stop=stop))
        alone = AloneExecutor(bus, bundle)
        await alone.listen()
        try:
            yield alone
        finally:
            stop.set()
    await bus.close()
