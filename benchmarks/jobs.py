"""Latency and throughput of whole jobs, four services as processes over a private RabbitMQ.

    make bench

Latency: submit one job, wait for its result over the long poll, 100 times, one after the other.
Throughput: 300 jobs submitted at once, until the last result is known. The client is aiohttp: of those at
hand it costs the machine that it shares with the services the least.
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

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from tests.support.mongo import MongoServer
from tests.support.rabbit import RabbitNode
from tests.system.composition import ROOT, TOKEN, four_services

LATENCY_RUNS = 100
THROUGHPUT_JOBS = 300
EMPTY = "def run(task, userpub, params):\n    return None\n"
PROGRAMS = {"empty": EMPTY, "hello": (ROOT / "examples" / "hello.py").read_text()}


def client_of(url: str, *, token: str | None = None) -> ClientSession:
    """Return a client of a server, for as many requests at once as are measured."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return ClientSession(
        url,
        headers=headers,
        connector=TCPConnector(limit=THROUGHPUT_JOBS),
        timeout=ClientTimeout(120),
        raise_for_status=True,
    )


async def upload(client: ClientSession, name: str) -> None:
    """Upload a program of `PROGRAMS`."""
    async with client.post("/v1/programs", json={"name": name, "source": PROGRAMS[name]}):
        return


async def finish(client: ClientSession, name: str) -> None:
    """Run one job of a program to its end."""
    async with client.post("/v1/jobs", json={"program_name": name}) as reply:
        job = await reply.json()
    while True:
        async with client.get(f"/v1/jobs/{job['id']}/result", params={"wait": 55}) as reply:
            result = await reply.json()
        if result["status"] == "SUCCEEDED":
            return
        if result["status"] in ("FAILED", "CANCELLED"):
            raise SystemExit(f"a job of {name} ended as {result}")


async def timed(action: Callable[[], Awaitable[None]]) -> float:
    """Return how long an action takes, in seconds."""
    start = time.perf_counter()
    await action()
    return time.perf_counter() - start


async def throughput(one: Callable[[], Awaitable[None]]) -> float:
    """Return jobs per second when many are wanted at once."""

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(THROUGHPUT_JOBS)))

    return THROUGHPUT_JOBS / await timed(all_of_them)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of the values lie, in milliseconds."""
    return round(statistics.quantiles(values, n=100)[round(share * 100) - 1] * 1000, 2)


async def measure(url: str) -> dict[str, dict[str, object]]:
    """Return the figures of one running composition."""
    figures: dict[str, dict[str, object]] = {"latency_ms": {}, "jobs_per_s": {}}
    async with client_of(url, token=TOKEN) as client:
        for name in PROGRAMS:
            await upload(client, name)
            for _ in range(5):
                await finish(client, name)
            times = [await timed(partial(finish, client, name)) for _ in range(LATENCY_RUNS)]
            figures["latency_ms"][name] = {"p50": percentile(times, 0.5), "p95": percentile(times, 0.95)}
            figures["jobs_per_s"][name] = round(await throughput(partial(finish, client, name)), 1)
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
