"""What the dispatcher's own code costs, without bus and store: heartbeats, and choices from a long queue.

    .venv/bin/python -m benchmarks.dispatching

Microseconds of CPU for each heartbeat and each choice, by how many executors and queued jobs there are. A
cost that grows with their number is a limit: all executors' heartbeats together are then quadratic.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from qrt_chassis.bus.port import Bus
from qrt_contracts.events import Heartbeat, RunningAttempt
from qrt_contracts.values import Isolation, ProgramKind
from qrt_scheduler.domain.backlog import Backlog, Waiting
from qrt_scheduler.domain.fleet import Fleet, Lease
from qrt_scheduler.ports import JobStore
from qrt_scheduler.service.changes import Changes
from qrt_scheduler.service.dispatcher import Dispatcher
from qrt_scheduler.service.memory import Memory
from qrt_scheduler.service.recent import Recent

SLOTS = 4
FLEETS = (10, 100, 1000, 4000)
QUEUES = ((100, 1), (100_000, 1), (100_000, 100), (100_000, 10_000))
"""(jobs, owners): jobs of one owner stand in one line."""
BEATS, PICKS = 2000, 500


class _Nothing:
    """A bus and a store that are asked nothing."""

    def __getattr__(self, name: str) -> Any:
        raise SystemExit(f"asked for {name}")


def _beat(number: int, *, busy: bool) -> Heartbeat:
    running = [RunningAttempt(job_id=f"j{number}-{slot}", attempt=1) for slot in range(SLOTS if busy else 0)]
    return Heartbeat(
        executor=f"e{number}",
        incarnation="i",
        slots=SLOTS,
        running=tuple(running),
        isolation=Isolation.JAIL,
        kinds=(ProgramKind.QUAFU, ProgramKind.TEMPLATE),
        cpus=8.0,
        memory_bytes=32 << 30,
    )


def memory_of(executors: int, *, busy: bool, queued: Iterable[Waiting] = ()) -> Memory:
    """Return what a dispatcher remembers of executors that are all busy, or all idle, and of a queue."""
    memory = Memory(Backlog(), Fleet(lease_seconds=1e9), since=0.0)
    for number in range(executors):
        beat = _beat(number, busy=busy)
        memory.fleet.heard(beat, 0.0)
        for each in beat.running:
            lease = Lease(each.job_id, "owner", "program", 1, beat.executor, beat.incarnation, 0.0)
            memory.fleet.hold(lease)
            memory.backlog.started("owner", "program")
    for job in queued:
        memory.backlog.add(job)
    return memory


def queue_of(jobs: int, owners: int) -> list[Waiting]:
    """Return jobs that wait, of so many owners."""
    return [
        Waiting(f"{number:032x}", f"o{number % owners}", f"p{number % owners}", 0) for number in range(jobs)
    ]


def _dispatcher(memory: Memory) -> Dispatcher:
    nothing = _Nothing()
    dispatcher = Dispatcher(
        bus=cast("Bus", nothing),
        jobs=cast("JobStore", nothing),
        changes=cast("Changes", nothing),
        recent=Recent(),
        clock=cast("Any", nothing),
        monotonic=lambda: 1.0,
        lease_seconds=1e9,
    )
    dispatcher._memory = memory
    return dispatcher


async def heartbeats(executors: int, *, queued: int) -> float:
    """Return CPU microseconds for each heartbeat of busy executors and the look for work after it."""
    memory = memory_of(executors, busy=True, queued=queue_of(queued, 10))
    dispatcher = _dispatcher(memory)
    beats = [_beat(number % executors, busy=True) for number in range(BEATS)]
    dispatching = asyncio.create_task(dispatcher.dispatch())
    await asyncio.sleep(0)
    dispatcher._memory = memory

    async def all_of_them() -> None:
        for beat in beats:
            await dispatcher.on_heartbeat(beat)
            await asyncio.sleep(0)  # the dispatching loop looks now

    try:
        return await _microseconds(all_of_them, BEATS)
    finally:
        dispatching.cancel()
        await asyncio.gather(dispatching, return_exceptions=True)


async def picks(executors: int, *, jobs: int, owners: int) -> float:
    """Return CPU microseconds to choose a job and its executor, and to note both."""
    memory = memory_of(executors, busy=False, queued=queue_of(jobs, owners))

    async def all_of_them() -> None:
        for _ in range(min(PICKS, jobs)):
            start = memory.next()
            if start is None:
                raise SystemExit("nothing was chosen")
            memory.reserve(start.due, start.executor)
            memory.unreserve(start.due.job_id)

    return await _microseconds(all_of_them, min(PICKS, jobs))


async def _microseconds(work: Callable[[], Awaitable[None]], times: int) -> float:
    begun = time.process_time()
    await work()
    return round((time.process_time() - begun) / times * 1e6, 1)


async def measure() -> dict[str, list[dict[str, float]]]:
    """Return both tables."""
    beats = [
        {"executors": each, "queued": queued, "us": await heartbeats(each, queued=queued)}
        for each in FLEETS
        for queued in (0, 1000)
    ]
    chosen = [
        {"executors": each, "jobs": jobs, "owners": owners, "us": await picks(each, jobs=jobs, owners=owners)}
        for each in (10, 1000)
        for jobs, owners in QUEUES
    ]
    return {"heartbeat": beats, "pick": chosen}


def main() -> None:
    """Measure and print; the last line is JSON."""
    figures = asyncio.run(measure())
    for name, rows in figures.items():
        print(f"{name:<12}" + "".join(f"{key:>12}" for key in rows[0]))
        for row in rows:
            print(" " * 12 + "".join(f"{value:>12}" for value in row.values()))
    json.dump(figures, sys.stdout)
    print()


if __name__ == "__main__":
    main()
