"""A parked jail by itself: from handing over the hello circuit until its result is there.

No bus, no store and no reports: what is left is what starting a program safely costs. The result counts as
there when the program, about to return it, publishes it. Jobs/s are counted until each job's last process is
proven dead and its jail is gone, with new jails being made meanwhile.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks import overhead
from benchmarks.peers.systems import SLOTS
from qrt_contracts.values import Isolation, Limits
from qrt_executor.adapters.cgroups import find_cgroups
from qrt_executor.adapters.environment import probe
from qrt_executor.adapters.pool import Station, ZygotePool
from qrt_executor.ports import InterimKind, Order, Sandbox, Stream
from tests.support.waiting import wait_until
from tests.system.composition import PROGRAM_PYTHON, ROOT

BETWEEN_SECONDS = 0.04
"""Between runs whose latency is measured, as jobs come that do not wait for each other."""
HELLO = (ROOT / "examples" / "hello.py").read_text()
PUBLISHING = (
    HELLO
    + """

def run(task, userpub, params, hello=run):
    result = hello(task, userpub, params)
    userpub.publish(result)
    return result
"""
)
USER = (61000, 61000)


class Told:
    """`ports.Sink`: notes when the first interim result came."""

    def __init__(self) -> None:
        self.result_at: float | None = None

    def log(self, stream: Stream, data: bytes) -> None:
        """Drop what is printed."""

    def interim(self, kind: InterimKind, data: bytes) -> None:
        """Note when it came."""
        del kind, data
        self.result_at = self.result_at or time.perf_counter()

    def violation(self, detail: str) -> None:
        """End the benchmark."""
        raise SystemExit(detail)

    async def room(self) -> None:
        """Take everything at once."""

    async def call(self, question: bytes) -> bytes:
        """End the benchmark: the hello circuit asks nothing."""
        raise SystemExit(f"an unexpected question: {question!r}")


@asynccontextmanager
async def parked() -> AsyncIterator[ZygotePool]:
    """Keep jails parked as an executor with `SLOTS` slots does."""
    with tempfile.TemporaryDirectory(prefix="qrt-bench-") as name:
        os.chmod(name, 0o755)  # the zygote's user passes through it
        station = Station(
            environment=probe(PROGRAM_PYTHON),
            levels=(Isolation.JAIL,),
            scratch=Path(name),
            user=USER if os.getuid() == 0 else (os.getuid(), os.getgid()),
            give_away=os.getuid() == 0,
            cgroups=find_cgroups(),
            disk_bytes=Limits().disk_bytes,
        )
        pool = ZygotePool(station, depth=2 * SLOTS)
        serving = asyncio.create_task(pool.run())
        try:
            await wait_until(lambda: pool.ready, description="a zygote serves", seconds=60)
            yield pool
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def run(pool: ZygotePool, source: str, *, given: str = "{}") -> tuple[float, Sandbox]:
    """Run one job to its death; return the seconds until its result, and what is to be closed."""
    jail = await pool.take(Limits())
    told = Told()
    order = Order(source=source.encode(), input=given, backend=None, limits=Limits())
    start = time.perf_counter()
    reading = asyncio.ensure_future(jail.converse(told))
    await jail.start(order)
    await jail.ended()
    claims = await reading
    if claims.result is None:
        raise SystemExit(f"the job failed: {claims.error}")
    return (told.result_at or time.perf_counter()) - start, jail


class Parked:
    """A parked jail, as one of several things that are measured in turn (`benchmarks.executor`)."""

    def __init__(self, pool: ZygotePool) -> None:
        """Of a pool that nothing else of this process has started a zygote before."""
        self._pool = pool
        self._zygote = overhead.zygote()
        self._cpu_ms: list[list[float]] = []
        """For each call of `rate`, per job: of the executor and of its sandboxes."""

    async def latency(self, runs: int) -> dict[str, Any]:
        """Run jobs one after the other; returns `seconds` until each result, and that none is `lost`."""
        seconds = []
        for _ in range(runs):
            seconds.append(await _one(self._pool, PUBLISHING))
            await asyncio.sleep(BETWEEN_SECONDS)
        return {"seconds": seconds, "lost": 0}

    async def rate(self, jobs: int) -> dict[str, Any]:
        """Run jobs in `SLOTS` slots; returns `seconds`, how many were `done`, and that none is `lost`."""
        start, cpu = time.perf_counter(), overhead.cpu(self._zygote)
        left = iter(range(jobs))
        await asyncio.gather(*(_slot(self._pool, left) for _ in range(SLOTS)))
        seconds = time.perf_counter() - start
        spent = zip(cpu, overhead.cpu(self._zygote), strict=True)
        self._cpu_ms.append([(after - before) / jobs for before, after in spent])
        return {"seconds": seconds, "done": jobs, "lost": 0}

    async def costs(self) -> dict[str, float]:
        """Return CPU per job (medians of all rates), and memory of zygote, parked jail and running job."""
        ours, theirs = (round(statistics.median(each), 1) for each in zip(*self._cpu_ms, strict=True))
        await asyncio.sleep(1)  # until as many are parked again as there were
        held = await overhead.memory(
            self._zygote, lambda: _one(self._pool, overhead.RUNNING, given='{"seconds": 2}')
        )
        return {"executor_cpu_ms_per_job": ours, "sandbox_cpu_ms_per_job": theirs, **held}


async def _one(pool: ZygotePool, source: str, *, given: str = "{}") -> float:
    seconds, jail = await run(pool, source, given=given)
    await jail.close()
    return seconds


async def _slot(pool: ZygotePool, left: Any) -> None:
    """Run jobs one after the other; the next one does not wait for the last one's jail to be cleared away."""
    closing = set()
    for _ in left:
        _, jail = await run(pool, HELLO)
        task = asyncio.ensure_future(jail.close())
        closing.add(task)
        task.add_done_callback(closing.discard)
    await asyncio.gather(*closing)
