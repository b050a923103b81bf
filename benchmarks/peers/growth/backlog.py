"""The runtime while very many jobs of one owner wait: taking more of them, and another owner's jobs.

The owner's program may run once at a time (its quota) and does not end, so its jobs wait and one of the two
slots stays free for the other owner. Up to 10^4 jobs are submitted over HTTP; 10^5 are written straight into
the scheduler's database while the scheduler is stopped, as copies of one that was submitted, and then it is
started again.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import ClientSession
from pydantic import SecretStr

from benchmarks.jobs import PROGRAMS
from benchmarks.load.report import milliseconds
from benchmarks.peers import usage
from benchmarks.peers.figures import Waiting
from benchmarks.peers.growth import crowd
from benchmarks.peers.systems import SLOTS, Machinery
from qrt_chassis.settings import MongoSettings
from qrt_chassis.store import open_store
from qrt_contracts.ids import new_id
from tests.system.composition import OTHER_TOKEN, SERVICES, TOKEN
from tests.system.scaled import Scaled, scaled

SUBMITTED, STORED = (100, 1_000, 10_000), 100_000
QUICK_SUBMITTED, QUICK_STORED = (100, 1_000), 10_000
MORE, OTHERS = 300, 40
QUICK_MORE, QUICK_OTHERS = 100, 12
FEW = 64
AT_ONCE = 16
"""Requests at once of the owner whose jobs wait."""
BATCH = 5_000
PREFIX = "backlog-"
ENDLESS = "import time\n\n\ndef run(task, userpub, params):\n    time.sleep(3600)\n"
MANY = str(10 * STORED)
SETTINGS = {
    "gateway": {"requests_per_second": MANY, "requests_burst": MANY},
    "registry": {},
    "scheduler": {"max_queued": MANY, "max_queued_per_owner": MANY},
    "executor": {"slots": str(SLOTS), "drain_seconds": "0", "grace_seconds": "0"},
}


@dataclass(frozen=True)
class Load:
    """Two owners' clients and programs."""

    whole: Scaled
    owner: ClientSession
    endless: str
    other: ClientSession
    hello: str
    quick: bool

    async def submit(self, jobs: int) -> list[float]:
        """Submit endless jobs; return how long each submission took."""
        left, times = iter(range(jobs)), list[float]()

        async def worker() -> None:
            for _ in left:
                times.append(await _timed(lambda: crowd.submit(self.owner, self.endless)))

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        return times

    async def of_the_other(self) -> None:
        """Run one job of the other owner."""
        await crowd.result(self.other, await crowd.submit(self.other, self.hello))

    def more(self, queued: int) -> int:
        """Return how many further jobs are submitted while so many wait: never so many that it matters."""
        return min(QUICK_MORE if self.quick else MORE, max(FEW, queued))

    async def measure(self, queued: int, how: str, *, takeover: float | None = None) -> Waiting:
        """Return what it is like now."""
        runs = QUICK_OTHERS if self.quick else OTHERS
        others = sorted([await _timed(self.of_the_other) for _ in range(runs)])
        start = time.perf_counter()
        times = await self.submit(self.more(queued))
        rate = len(times) / (time.perf_counter() - start)
        return Waiting(
            queued=queued,
            how=how,
            submissions_per_s=round(rate, 1),
            submit_ms_p50=round(statistics.median(times) * 1000, 2),
            other_ms_p50=milliseconds(others, 50),
            other_ms_p95=milliseconds(others, 95),
            scheduler_pss_mb=usage.pss_mb(self.whole.pids_of("scheduler")),
            takeover_s=takeover,
        )


async def measure(on: Machinery, *, quick: bool) -> list[Waiting]:
    """Return what it is like with none and with ever more jobs waiting."""
    settings = {name: SETTINGS[name] | {"mongo_prefix": PREFIX} for name in SERVICES}
    async with (
        scaled(on.directory, on.rabbit.url, on.mongo.url, settings=settings) as whole,
        crowd.clients(whole.urls, (TOKEN, OTHER_TOKEN)) as (owner, other),
    ):
        endless = await crowd.upload(owner, "endless", ENDLESS, quota={"running": 1})
        hello = await crowd.upload(other, "hello", PROGRAMS["hello"])
        load = Load(whole, owner, endless, other, hello, quick)
        await load.submit(1)  # the one that runs
        for _ in range(5):
            await load.of_the_other()
        found, waiting = [], 0
        for queued in (0, *(QUICK_SUBMITTED if quick else SUBMITTED)):
            await load.submit(queued - waiting)
            found.append(await load.measure(queued, "submitted"))
            waiting = queued + load.more(queued)
        stored = QUICK_STORED if quick else STORED
        takeover = await _store(load, on, jobs=stored - waiting)
        return [*found, await load.measure(stored, "stored", takeover=takeover)]


async def _store(load: Load, on: Machinery, *, jobs: int) -> float:
    """Write waiting jobs into the database of a stopped scheduler; return how long its start takes then."""
    job = await crowd.submit(load.owner, load.endless)
    (scheduler,) = load.whole.processes["scheduler"]
    await scheduler.stop()
    async with open_store(MongoSettings(url=SecretStr(on.mongo.url), prefix=PREFIX)) as store:
        collection = store.database("scheduler")["jobs"]
        pattern = await collection.find_one({"_id": job})
        assert pattern is not None
        assert pattern["status"] == "QUEUED"
        pattern.pop("outbox", None)
        for first in range(0, jobs, BATCH):
            batch = [pattern | {"_id": new_id()} for _ in range(min(BATCH, jobs - first))]
            await collection.insert_many(batch, ordered=False)
    start = time.perf_counter()
    await scheduler.start()
    await load.of_the_other()
    return round(time.perf_counter() - start, 2)


async def _timed(action: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await action()
    return time.perf_counter() - start
