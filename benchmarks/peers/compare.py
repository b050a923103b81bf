"""Measures one system after the other, nothing else beside it."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from benchmarks.load.report import milliseconds
from benchmarks.peers import systems, usage
from benchmarks.peers.driver import ClientFailed, Driver
from benchmarks.peers.figures import Missing, Peer
from benchmarks.peers.systems import Machinery, System

LOOK_SECONDS = 0.1
CONTENDER_SECONDS = 240
"""One that takes longer is told of as not measured."""


@dataclass(frozen=True)
class Contender:
    """A system, and how much of it is measured: slow ones get fewer jobs."""

    name: str
    isolation: str
    start: Callable[[Machinery], systems.Start]
    latency_runs: int
    jobs: int
    busy_jobs: int
    """Run once more while memory is looked at."""


CONTENDERS = (
    Contender("this runtime", "jail, used once", systems.runtime, 200, 600, 100),
    Contender("bare floor", "none: a fork", systems.floor, 200, 600, 100),
    Contender("Celery prefork, a process per task", "none: a fork", systems.celery, 20, 60, 20),
    Contender("Taskiq, shared workers", "none", partial(systems.taskiq, fresh=False), 200, 600, 100),
    Contender("Taskiq, a process per task", "none: a process", partial(systems.taskiq, fresh=True), 6, 8, 4),
    Contender("Ray Jobs", "none: a process", systems.ray, 8, 12, 4),
    Contender("a fresh interpreter per job", "none: a process", systems.fresh, 20, 40, 10),
)
QUICK = 4
"""A quick run makes so many times fewer jobs."""


async def compare(
    on: Machinery, *, quick: bool, names: Sequence[str] = ()
) -> tuple[list[Peer], list[Missing]]:
    """Measure every contender, or those whose name holds one of `names`."""
    measured: list[Peer] = []
    missing: list[Missing] = []
    for each in CONTENDERS:
        if names and not any(name.lower() in each.name.lower() for name in names):
            continue
        print(f"measuring {each.name}", file=sys.stderr, flush=True)
        try:
            measured.append(await _measure(each, on, quick=quick))
            print(f"  {measured[-1]}", file=sys.stderr, flush=True)
        except TimeoutError:
            missing.append(Missing(system=each.name, why="did not answer in time"))
        except (OSError, AssertionError, ClientFailed) as error:
            missing.append(Missing(system=each.name, why=str(error)[:500]))
    return measured, missing


async def _measure(contender: Contender, on: Machinery, *, quick: bool) -> Peer:
    async with contender.start(on) as system, system.driven() as client:
        async with asyncio.timeout(CONTENDER_SECONDS):
            return await _figures(contender, system, client, on, share=QUICK if quick else 1)


async def _figures(
    contender: Contender, system: System, client: Driver, on: Machinery, *, share: int
) -> Peer:
    own = system.own or [client.pid]
    await client.rate(max(2, contender.busy_jobs // 4))  # warm
    one_by_one = await client.latency(max(3, contender.latency_runs // share))
    before = _charged(own, on)
    together = await client.rate(max(4, contender.jobs // share))
    if not one_by_one["seconds"] or not together["done"]:
        raise ClientFailed("no result came")
    spent = [after - earlier for after, earlier in zip(_charged(own, on), before, strict=True)]
    if not system.own:
        spent[0] -= together["cpu_ms"]
    per_job = [round(each / together["done"], 2) for each in (*spent, together["cpu_ms"])]
    at_rest = usage.pss_mb(own)
    busy = await _most_held(own, client, jobs=max(2, contender.busy_jobs // share))
    times = sorted(one_by_one["seconds"])
    return Peer(
        system=contender.name,
        isolation=contender.isolation,
        ms_p50=milliseconds(times, 50),
        ms_p95=milliseconds(times, 95),
        jobs_per_s=round(together["done"] / together["seconds"], 2),
        cpu_ms_per_job=per_job[0],
        broker_cpu_ms_per_job=per_job[1],
        store_cpu_ms_per_job=per_job[2],
        client_cpu_ms_per_job=per_job[3],
        pss_mb=at_rest,
        busy_pss_mb=max(busy, at_rest),
        latency_runs=len(times),
        jobs=together["done"],
        lost=one_by_one["lost"] + together["lost"],
    )


def _charged(own: Sequence[int], on: Machinery) -> list[float]:
    return [usage.cpu_ms(own), usage.cpu_ms([on.rabbit.pid]), usage.cpu_ms([on.mongo.pid])]


async def _most_held(own: Sequence[int], client: Driver, *, jobs: int) -> float:
    """Return the most memory seen while jobs run."""
    running = asyncio.ensure_future(client.rate(jobs))
    most = 0.0
    while not running.done():
        most = max(most, await asyncio.to_thread(usage.pss_mb, own))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(running), LOOK_SECONDS)
    await running
    return most
