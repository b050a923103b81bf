"""Celery's client. Runs in `.venv/bench`.

A task that is given to a worker process which is just ending is sometimes never run: it counts as lost.
"""

import asyncio
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


async def many(jobs: int) -> int:
    """Submit all, then wait for each."""
    return sum(map(_came, [hello.delay() for _ in range(jobs)]))


if __name__ == "__main__":
    asyncio.run(drive(one, many))
