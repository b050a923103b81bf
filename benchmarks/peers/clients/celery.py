"""Celery's client. Runs in `.venv/bench`.

A task that is given to a worker process which is just ending is sometimes never run: it counts as lost.
"""

import asyncio
import time
from typing import Any

from celery.exceptions import TimeoutError as NeverCame

from benchmarks.peers.driven import drive
from benchmarks.peers.workers.celery import hello

LOST_SECONDS = 20.0
"""Without any result; one takes well under a second."""


def _came(task: Any) -> bool:
    try:
        task.get(timeout=LOST_SECONDS)
    except NeverCame:
        return False
    return True


async def one() -> bool:
    """Run one task."""
    return _came(hello.delay())


async def many(jobs: int) -> list[float]:
    """Submit all, then wait for each; a lost one does not delay when the others are noticed."""
    moments: list[float] = []
    tasks = [hello.delay() for _ in range(jobs)]
    for task in tasks:
        task.then(lambda _: moments.append(time.perf_counter()))
    for task in tasks:
        _came(task)
    return moments


if __name__ == "__main__":
    asyncio.run(drive(one, many))
