"""A client that is told what to do: a line of JSON in, a line of JSON out.

    {"latency": n}  ->  {"seconds": [...], "lost": k}                       one job after the other
    {"rate": n}     ->  {"seconds": s, "done": n, "lost": k, "cpu_ms": c}    all of them at once

`seconds` of a rate is from the first submission until the last result is known. Runs in any environment: it
needs the standard library alone.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

One = Callable[[], Awaitable[bool]]
Many = Callable[[int], Awaitable[list[float]]]
"""Submits that many jobs at once, waits for all, and tells when (`time.perf_counter`) each result came."""


async def drive(one: One, many: Many | None = None) -> None:
    """Answer each line of standard input until it ends.

    `one` runs a job and tells whether its result came. Without `many`, as many of `one` run at once.
    """
    print(json.dumps({"ready": await one()}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        told = json.loads(line)
        if "latency" in told:
            answer = await latency(one, told["latency"])
        else:
            answer = await _rate(many or _at_once(one), told["rate"])
        print(json.dumps(answer), flush=True)


async def latency(one: One, runs: int) -> dict[str, Any]:
    """Run jobs one after the other; return `seconds` of each that came, and how many were `lost`."""
    times, lost = [], 0
    for _ in range(runs):
        start = time.perf_counter()
        if await one():
            times.append(time.perf_counter() - start)
        else:
            lost += 1
    return {"seconds": times, "lost": lost}


async def _rate(many: Many, jobs: int) -> dict[str, Any]:
    start, cpu = time.perf_counter(), time.process_time()
    came = await many(jobs)
    return {
        "seconds": max(came, default=start) - start,
        "done": len(came),
        "lost": jobs - len(came),
        "cpu_ms": (time.process_time() - cpu) * 1000,
    }


def _at_once(one: One) -> Many:
    async def timed() -> list[float]:
        return [time.perf_counter()] if await one() else []

    async def many(jobs: int) -> list[float]:
        return [moment for found in await asyncio.gather(*(timed() for _ in range(jobs))) for moment in found]

    return many
