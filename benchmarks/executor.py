"""What starting a job costs: our executor and our four services beside a bare floor and peers, in one run.

    make bench-executor

All figures are of the hello circuit, on this machine, two jobs at once:

- parked jail: from handing over the program until its result is there (see `benchmarks.parked`);
- executor alone: an order on an in-process bus until the attempt's end is reported (see `benchmarks.alone`);
- four services: submit over HTTP until the result is known;
- floor: the same hops, durable writes and one fork, nothing else (see `benchmarks.floor`);
- fresh interpreter: `python -m` that imports quafu and runs the circuit;
- Celery prefork with a fresh process per task, on the same broker (see `benchmarks.peers`).

The speed of a shared machine changes within minutes, so all are up at once and measured in turns, one at a
time, each turn in the other order. A latency is the median of all runs, jobs/s are the median of the turns.
"""

import json
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from benchmarks.alone import AloneExecutor, alone_executor
from benchmarks.parked import Parked, parked
from benchmarks.peers import systems
from benchmarks.peers.systems import SLOTS, Machinery
from qrt_chassis.lifecycle import run_async, set_heap_aside
from tests.support.mongo import MongoServer
from tests.support.rabbit import RabbitNode

TURNS = 5
WARM_RUNS = 3
"""At the beginning of a turn, not measured."""


class Measurable(Protocol):
    """What `benchmarks.peers.driver.Driver` can do."""

    async def latency(self, runs: int) -> dict[str, Any]:
        """Run jobs one after the other; return `seconds` of each, and how many were `lost`."""

    async def rate(self, jobs: int) -> dict[str, Any]:
        """Run jobs at once; return `seconds` for all, how many were `done` and how many `lost`."""


@dataclass
class Part:
    """One of those measured, how many jobs it gets in a turn, and what came of them."""

    name: str
    measured: Measurable
    runs: int
    """One after the other."""
    jobs: int
    """At once; none: so many slots do as many times what one does."""
    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    lost: int = 0

    async def take_turn(self) -> None:
        """Run what it gets in one turn."""
        if self.runs > WARM_RUNS:
            await self.measured.latency(WARM_RUNS)
        alone = await self.measured.latency(self.runs)
        self.seconds += alone["seconds"]
        self.lost += alone["lost"]
        if not self.jobs:
            return
        together = await self.measured.rate(self.jobs)
        self.rates.append(together["done"] / together["seconds"])
        self.lost += together["lost"]

    @property
    def p50(self) -> float:
        """The median latency in milliseconds."""
        return round(statistics.median(self.seconds) * 1000, 2)

    @property
    def p95(self) -> float:
        """The latency in milliseconds that one of twenty exceeds."""
        return round(statistics.quantiles(self.seconds, n=20)[-1] * 1000, 2)

    @property
    def jobs_per_s(self) -> float:
        """The median of the turns."""
        return round(statistics.median(self.rates) if self.rates else SLOTS * 1000 / self.p50, 1)


@asynccontextmanager
async def everything(on: Machinery) -> AsyncIterator[tuple[list[Part], AloneExecutor, Parked]]:
    """Start all that is measured."""
    async with AsyncExitStack() as up:
        jails = Parked(await up.enter_async_context(parked()))
        executor = await up.enter_async_context(alone_executor(on.mongo.url))
        driven = []
        for start in (systems.runtime, systems.floor, systems.fresh, systems.celery):
            system = await up.enter_async_context(start(on))
            driven.append(await up.enter_async_context(system.driven()))
        services, floor, fresh, celery = driven
        parts = [
            Part("parked jail", jails, runs=40, jobs=150),
            Part("executor alone", executor, runs=20, jobs=150),
            Part("four services", services, runs=20, jobs=300),
            Part("bare floor", floor, runs=20, jobs=300),
            Part("fresh interpreter", fresh, runs=2, jobs=0),
            Part("celery, fresh process", celery, runs=3, jobs=40),
        ]
        yield parts, executor, jails


async def main() -> None:
    """Measure everything, print a table and one JSON object."""
    with tempfile.TemporaryDirectory(prefix="qrt-bench-") as directory:
        path = Path(directory)
        (path / "rabbit").mkdir()
        rabbit, mongo = RabbitNode(path / "rabbit"), MongoServer(path / "mongo")
        try:
            rabbit.start()
            mongo.start()
            async with everything(Machinery(rabbit, mongo, path)) as (parts, executor, jails):
                level = str((await executor.run()).isolation)
                set_heap_aside()
                for turn in range(TURNS):
                    print(f"turn {turn + 1} of {TURNS}", file=sys.stderr, flush=True)
                    for part in parts if turn % 2 == 0 else reversed(parts):
                        await part.take_turn()
                costs = await jails.costs()
        finally:
            rabbit.remove()
            mongo.remove()
    report(parts, costs, level)


def report(parts: Sequence[Part], costs: dict[str, float], level: str) -> None:
    """Print the figures and what they are to each other."""
    jail, alone, services, floor, fresh, celery = parts
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, isolation {level}\n")
    print(f"{'hello circuit':<24}{'p50 ms':>10}{'jobs/s':>10}")
    for each in parts:
        print(f"{each.name:<24}{each.p50:>10}{each.jobs_per_s:>10}")
    print(
        f"\nfour services are {services.p50 / floor.p50:.2f} x the floor's latency,"
        f" {services.jobs_per_s / floor.jobs_per_s:.2f} x its jobs/s,"
        f" {fresh.p50 / services.p50:.1f} x faster than a fresh interpreter,"
        f" {services.jobs_per_s / celery.jobs_per_s:.1f} x Celery's jobs/s"
    )
    print(
        f"a job costs {costs['executor_cpu_ms_per_job']} CPU-ms in the executor,"
        f" {costs['sandbox_cpu_ms_per_job']} in its sandbox;"
        f" PSS: zygote {costs['zygote_pss_mb']} MB, parked jail {costs['parked_jail_pss_mb']} MB,"
        f" running job {costs['running_job_pss_mb']} MB"
    )
    for each in parts:
        if each.lost:
            print(f"{each.name}: {each.lost} jobs never ran")
    figures = {
        "jail_hello_ms_p50": jail.p50,
        "jail_hello_ms_p95": jail.p95,
        "jail_hello_jobs_per_s": jail.jobs_per_s,
        "attempt_ms_p50": alone.p50,
        "attempts_per_s": alone.jobs_per_s,
        "isolation": level,
        "submit_result_ms_p50": services.p50,
        "floor_ms_p50": floor.p50,
        "fresh_interpreter_ms_p50": fresh.p50,
        "jobs_per_s": services.jobs_per_s,
        "floor_jobs_per_s": floor.jobs_per_s,
        "celery_fork_jobs_per_s": celery.jobs_per_s,
        **costs,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    run_async(main())  # on the event loop that an executor has
