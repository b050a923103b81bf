"""Latency and throughput of whole jobs, four services as processes over a private RabbitMQ.

    make bench

Latency: submit one job, wait for its result over the long poll, 100 times, one after the other.
Throughput: 300 jobs submitted at once by 16 clients, until the last result is known.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import httpx

from tests.support.mongo import MongoServer
from tests.support.rabbit import RabbitNode
from tests.system.composition import ROOT, TOKEN, four_services

LATENCY_RUNS = 100
THROUGHPUT_JOBS = 300
CLIENTS = 16
EMPTY = "def run(task, userpub, params):\n    return None\n"
PROGRAMS = {"empty": EMPTY, "hello": (ROOT / "examples" / "hello.py").read_text()}


async def finish(client: httpx.AsyncClient, name: str) -> None:
    """Run one job of a program to its end."""
    job = (await client.post("/v1/jobs", json={"program_name": name})).raise_for_status().json()
    while True:
        reply = await client.get(f"/v1/jobs/{job['id']}/result", params={"wait": 55})
        result = reply.raise_for_status().json()
        if result["status"] == "SUCCEEDED":
            return
        if result["status"] in ("FAILED", "CANCELLED"):
            raise SystemExit(f"a job of {name} ended as {result}")


async def timed(action: Callable[[], Awaitable[None]]) -> float:
    """Return how long an action takes, in seconds."""
    start = time.perf_counter()
    await action()
    return time.perf_counter() - start


async def throughput(client: httpx.AsyncClient, name: str) -> float:
    """Return jobs per second for many jobs at once."""
    limit = asyncio.Semaphore(THROUGHPUT_JOBS)

    async def one() -> None:
        async with limit:
            await finish(client, name)

    seconds = await timed(lambda: _gather(one))
    return THROUGHPUT_JOBS / seconds


async def _gather(one: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(one() for _ in range(THROUGHPUT_JOBS)))


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of the values lie, in milliseconds."""
    return round(statistics.quantiles(values, n=100)[round(share * 100) - 1] * 1000, 2)


async def measure(url: str) -> dict[str, dict[str, object]]:
    """Return the figures of one running composition."""
    limits = httpx.Limits(max_connections=THROUGHPUT_JOBS, max_keepalive_connections=THROUGHPUT_JOBS)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    figures: dict[str, dict[str, object]] = {"latency_ms": {}, "jobs_per_s": {}}
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=120) as client:
        for name, source in PROGRAMS.items():
            body = {"name": name, "source": source}
            (await client.post("/v1/programs", json=body)).raise_for_status()
            for _ in range(5):
                await finish(client, name)
            times = [await timed(partial(finish, client, name)) for _ in range(LATENCY_RUNS)]
            figures["latency_ms"][name] = {"p50": percentile(times, 0.5), "p95": percentile(times, 0.95)}
            figures["jobs_per_s"][name] = round(await throughput(client, name), 1)
    return figures


async def main() -> None:
    """Start everything, measure, print."""
    with tempfile.TemporaryDirectory(prefix="qrt-bench-") as directory:
        path = Path(directory)
        (path / "rabbit").mkdir()
        rabbit, mongo = RabbitNode(path / "rabbit"), MongoServer(path / "mongo")
        try:
            rabbit.start()
            mongo.start()
            async with four_services(path, rabbit.url, mongo.url) as whole:
                figures = await measure(whole.url)
        finally:
            rabbit.remove()
            mongo.remove()
    print(f"{'program':<10}{'p50 ms':>10}{'p95 ms':>10}{'jobs/s':>10}")
    for name in PROGRAMS:
        latency = figures["latency_ms"][name]
        assert isinstance(latency, dict)
        print(f"{name:<10}{latency['p50']:>10}{latency['p95']:>10}{figures['jobs_per_s'][name]:>10}")
    json.dump(figures, sys.stdout)
    print()


if __name__ == "__main__":
    asyncio.run(main())
