"""Live outputs: publish -> client, and deliveries per second, beside a fan-out without anything else.

    make bench-live

Latency: a program publishes 50 values a second; 1, 100 and 1,000 WebSocket listeners on one gateway. The
time is from before `userpub.publish` in the sandbox to the client's socket; the bare publisher's is from
before its publish to the same client. Throughput: 100 listeners, a program that publishes in a tight loop;
what all of them together get in some seconds, from the moment on when each has got a value that was
published after the last of them was connected. Of ours only values count that are at most a second old:
what is read from history is not live. The bare fan-out, which has no bounds, may get ever later; all it
brings counts. All clients are in a process of their own. Both are measured in turn on a machine that runs
both, one of them idle. The last line is one JSON object.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.bare_fanout import PATH
from tests.support.mongo import MongoServer
from tests.support.processes import free_port
from tests.support.rabbit import RabbitNode
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.system.composition import ROOT, TOKEN, four_services

LISTENERS = (1, 100, 1000)
RATE = 50
SECONDS = 10
MANY = 100
BARE_RATE = 1300
"""Messages a second that the bare fan-out cannot quite deliver to `MANY`; of more, it delivers less."""
DELAY = 3.0
"""Until the tight loop begins: its listeners are connected by then."""

PROGRAM = """
import time


def run(task, userpub, params):
    time.sleep(params["delay"])
    for _ in range(params["count"]):
        userpub.publish({"t": time.time_ns()})
        if params["pause"]:
            time.sleep(params["pause"])
"""


@asynccontextmanager
async def running(*argv: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Python module of this package as a process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *argv, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def listen(mode: str, url: str, **options: object) -> dict[str, Any]:
    """Return what a process full of listeners has measured."""
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    async with running("benchmarks.listeners", mode, url, *given) as process:
        assert process.stdout is not None
        lines = (await process.stdout.read()).decode().splitlines()
        if len(lines) != 2:
            raise SystemExit(f"the listeners failed: {lines}")
        found: dict[str, Any] = json.loads(lines[1])
        print(mode, options.get("listeners", MANY), found, file=sys.stderr, flush=True)
        return found


@asynccontextmanager
async def bare_server(rabbit: str) -> AsyncIterator[str]:
    """Run the bare fan-out's server; returns where its listeners connect."""
    port = free_port()
    async with running("benchmarks.bare_fanout", "serve", "--rabbit", rabbit, "--port", str(port)):
        await wait_until(lambda: _open(port), description="the bare server is up", seconds=60)
        yield f"ws://127.0.0.1:{port}{PATH}"


async def bare_latency(rabbit: str, url: str, *, listeners: int, seconds: float = SECONDS) -> dict[str, Any]:
    """Return publish -> client times of the bare fan-out."""
    steady = ("--rate", str(RATE), "--count", "1000000")
    async with running("benchmarks.bare_fanout", "publish", "--rabbit", rabbit, *steady):
        return await listen("latency", url, listeners=listeners, seconds=seconds)


def _open(port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{port}/")
        return True
    return False


async def measure(rabbit: str, url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure the runtime and the bare fan-out, in turn, while both are up; return both."""
    ours: dict[str, Any] = {}
    without: dict[str, Any] = {}
    async with bare_server(rabbit) as bare_url, publisher(url) as (api, program):
        for listeners in LISTENERS:
            without[str(listeners)] = await bare_latency(rabbit, bare_url, listeners=listeners)
            ours[str(listeners)] = await whole_latency(api, program, listeners=listeners)
        delayed = ("--rate", str(BARE_RATE), "--count", "10000000", "--delay", str(DELAY))
        async with running("benchmarks.bare_fanout", "publish", "--rabbit", rabbit, *delayed):
            without["throughput"] = await listen("count", bare_url, listeners=MANY, seconds=SECONDS)
        job = await api.submit(program, {"delay": DELAY, "count": 10_000_000, "pause": 0})
        ours["throughput"] = await listen(
            "count", _stream(url, job), token=TOKEN, listeners=MANY, seconds=SECONDS
        )
        await _cancel(api, job)
    return ours, without


@asynccontextmanager
async def publisher(url: str) -> AsyncIterator[tuple[Api, dict[str, Any]]]:
    """Return a client of the runtime and the program that publishes."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=90) as client:
        api = Api(client)
        yield (
            api,
            await api.upload(PROGRAM, limits={"interim_count": 10_000_000, "interim_bytes": 1 << 30}),
        )


async def whole_latency(
    api: Api, program: dict[str, Any], *, listeners: int, seconds: float = SECONDS
) -> dict[str, Any]:
    """Return publish -> client times of the runtime."""
    job = await api.submit(program, {"delay": 0, "count": 1_000_000, "pause": 1 / RATE})
    await api.until_running(job)
    url = _stream(str(api.http.base_url).rstrip("/"), job)
    found = await listen("latency", url, token=TOKEN, listeners=listeners, seconds=seconds)
    await _cancel(api, job)
    return found


async def _cancel(api: Api, job: dict[str, Any]) -> None:
    await api.http.post(f"/v1/jobs/{job['id']}/cancel")
    await api.result(job)


def _stream(url: str, job: dict[str, Any]) -> str:
    return f"ws{url.removeprefix('http')}/v1/jobs/{job['id']}/stream"


async def main() -> None:
    """Start everything, measure, print."""
    with tempfile.TemporaryDirectory(prefix="qrt-bench-") as directory:
        path = Path(directory)
        (path / "rabbit").mkdir()
        rabbit, mongo = RabbitNode(path / "rabbit"), MongoServer(path / "mongo")
        try:
            rabbit.start()
            mongo.start()
            async with four_services(path, rabbit.url, mongo.url) as services:
                ours, without = await measure(rabbit.url, services.url)
        finally:
            rabbit.remove()
            mongo.remove()
    report(ours, without)


def report(ours: dict[str, Any], without: dict[str, Any]) -> None:
    """Print a table for people and a line for programs."""
    print(f"{'listeners':>10}{'p50 ms':>10}{'p95 ms':>10}{'bare p50':>10}{'bare p95':>10}")
    figures: dict[str, Any] = {}
    for count in map(str, LISTENERS):
        each, other = ours[count], without[count]
        figures[count] = {
            "p50_ms": each["p50_ms"],
            "p95_ms": each["p95_ms"],
            "bare_p50_ms": other["p50_ms"],
            "bare_p95_ms": other["p95_ms"],
        }
        print(f"{count:>10}" + "".join(f"{value:>10}" for value in figures[count].values()))
    bare_rate = without["throughput"]["per_s"] + without["throughput"]["late_per_s"]
    figures["delivered_per_s"], figures["bare_delivered_per_s"] = ours["throughput"]["per_s"], bare_rate
    print(f"deliveries/s to {MANY}: {figures['delivered_per_s']}, bare {figures['bare_delivered_per_s']}")
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
