"""What starting a job costs: our executor and our four services beside a bare floor and peers, in one run.

    make bench-executor

All figures are of the hello circuit, on this machine, two jobs at once:

- parked jail: from handing over the program until its result is there (see `benchmarks.parked`);
- executor alone: an order on an in-process bus until the attempt's end, all of it dead, is reported;
- four services: submit over HTTP until the result is known;
- floor: the same hops, durable writes and one fork, nothing else (see `benchmarks.floor`);
- fresh interpreter: `python -c` that imports quafu and runs the circuit;
- Celery prefork with a fresh process per task, on the same broker (see `benchmarks.peers`).
"""

import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks import parked
from benchmarks.jobs import LATENCY_RUNS, PROGRAMS, THROUGHPUT_JOBS
from benchmarks.peers import systems
from benchmarks.peers.systems import SLOTS, Machinery, Start
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
from tests.support.mongo import MongoServer
from tests.support.rabbit import RabbitNode
from tests.system.composition import PROGRAM_PYTHON, ROOT

FRESH_RUNS = 10
CELERY_JOBS = 40
FRESH = """
source = open("examples/hello.py").read().replace("simu_res.num", "4")
exec(compile(source, "hello.py", "exec"))
run(None, None, {})
"""


def p50(seconds: list[float]) -> float:
    """Return the median in milliseconds."""
    return round(statistics.median(seconds) * 1000, 2)


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


async def measure_alone(mongo: str) -> dict[str, Any]:
    """Return latency, jobs/s and the isolation level of the executor by itself."""
    async with alone_executor(mongo) as alone:
        level = (await alone.run()).isolation
        for _ in range(10):
            await alone.run()
        times = []
        for _ in range(LATENCY_RUNS):
            start = time.perf_counter()
            await alone.run()
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        left = iter(range(THROUGHPUT_JOBS))

        async def worker() -> None:
            for _ in left:
                await alone.run()

        await asyncio.gather(*(worker() for _ in range(SLOTS)))
        rate = THROUGHPUT_JOBS / (time.perf_counter() - start)
    return {"ms_p50": p50(times), "jobs_per_s": round(rate, 1), "isolation": level}


async def through(start: Start, *, runs: int = LATENCY_RUNS, jobs: int = THROUGHPUT_JOBS) -> dict[str, float]:
    """Return a system's latency of `runs` jobs one after the other, and jobs/s of `jobs` at once."""
    async with start as system, system.driven() as client:
        await client.latency(10)
        times = await client.latency(runs)
        together = await client.rate(jobs)
        return {
            "ms_p50": p50(times["seconds"]),
            "jobs_per_s": round(together["done"] / together["seconds"], 1),
            "lost": times["lost"] + together["lost"],
        }


def measure_fresh() -> float:
    """Return the median of a fresh interpreter per job, in milliseconds."""
    times = []
    for _ in range(FRESH_RUNS):
        start = time.perf_counter()
        command = [str(PROGRAM_PYTHON), "-c", FRESH]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return p50(times)


async def main() -> None:
    """Measure everything, print a table and one JSON object."""
    with tempfile.TemporaryDirectory(prefix="qrt-bench-") as directory:
        path = Path(directory)
        (path / "rabbit").mkdir()
        rabbit, mongo = RabbitNode(path / "rabbit"), MongoServer(path / "mongo")
        try:
            rabbit.start()
            mongo.start()
            jail = await parked.measure()
            alone = await measure_alone(mongo.url)
            on = Machinery(rabbit, mongo, path)
            services = await through(systems.runtime(on))
            floor = await through(systems.floor(on))
            fresh = measure_fresh()
            celery = await through(systems.celery(on), runs=FRESH_RUNS, jobs=CELERY_JOBS)
        finally:
            rabbit.remove()
            mongo.remove()
    report(jail, alone, services, floor, fresh, celery)


def report(
    jail: dict[str, Any],
    alone: dict[str, Any],
    services: dict[str, float],
    floor: dict[str, float],
    fresh: float,
    celery: dict[str, float],
) -> None:
    """Print the figures and what they are to each other."""
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, isolation {alone['isolation']}\n")
    rows = (
        ("parked jail", jail["ms_p50"], jail["jobs_per_s"]),
        ("executor alone", alone["ms_p50"], alone["jobs_per_s"]),
        ("four services", services["ms_p50"], services["jobs_per_s"]),
        ("bare floor", floor["ms_p50"], floor["jobs_per_s"]),
        ("fresh interpreter", fresh, round(SLOTS * 1000 / fresh, 1)),
        ("celery, fresh process", celery["ms_p50"], celery["jobs_per_s"]),
    )
    print(f"{'hello circuit':<24}{'p50 ms':>10}{'jobs/s':>10}")
    for name, latency, rate in rows:
        print(f"{name:<24}{latency:>10}{rate:>10}")
    print(
        f"\nfour services are {services['ms_p50'] / floor['ms_p50']:.2f} x the floor's latency,"
        f" {services['jobs_per_s'] / floor['jobs_per_s']:.2f} x its jobs/s,"
        f" {fresh / services['ms_p50']:.1f} x faster than a fresh interpreter,"
        f" {services['jobs_per_s'] / celery['jobs_per_s']:.1f} x Celery's jobs/s"
    )
    print(
        f"a job costs {jail['executor_cpu_ms_per_job']} CPU-ms in the executor,"
        f" {jail['sandbox_cpu_ms_per_job']} in its sandbox; PSS: zygote {jail['zygote_pss_mb']} MB,"
        f" parked jail {jail['parked_jail_pss_mb']} MB, running job {jail['running_job_pss_mb']} MB"
    )
    if celery["lost"]:
        print(f"Celery never ran {celery['lost']:g} of its tasks")
    figures = {
        "jail_hello_ms_p50": jail["ms_p50"],
        "jail_hello_ms_p95": jail["ms_p95"],
        "jail_hello_jobs_per_s": jail["jobs_per_s"],
        "attempt_ms_p50": alone["ms_p50"],
        "attempts_per_s": alone["jobs_per_s"],
        "isolation": alone["isolation"],
        "submit_result_ms_p50": services["ms_p50"],
        "floor_ms_p50": floor["ms_p50"],
        "fresh_interpreter_ms_p50": fresh,
        "jobs_per_s": services["jobs_per_s"],
        "floor_jobs_per_s": floor["jobs_per_s"],
        "celery_fork_jobs_per_s": celery["jobs_per_s"],
    } | {name: value for name, value in jail.items() if name.endswith(("_mb", "_per_job"))}
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
