"""Measure what the simulation needs to know: CPU of every process for a job, an output, a heartbeat.

    .venv/bin/python -m benchmarks.simulation.measure [--write]

Two gateways of which one is used, and two schedulers of which one dispatches: what the other one of each pair
spends tells what every replica pays for all jobs apart from what replicas share between them. CPU is what the
kernel has charged the processes, so it depends little on what else the machine does; jobs/s do, and are kept
for the comparison with the simulation of this very composition.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from aiohttp import ClientSession
from pydantic import SecretStr

from benchmarks.jobs import client_of, finish, percentile, timed, upload
from benchmarks.live import listen
from benchmarks.overhead import cpu_ms
from qrt_chassis.bus.open import open_bus
from qrt_chassis.settings import BusSettings
from qrt_contracts.events import Heartbeat
from qrt_contracts.values import Isolation, ProgramKind
from qrt_executor.adapters import processes
from tests.support.mongo import MongoServer
from tests.support.processes import free_port
from tests.support.rabbit import RabbitNode
from tests.system.client import Api
from tests.system.composition import TOKEN, Composition, Process, service_process

JOBS, SLOTS = 300, 2
HOP_MS, STORE_MS = 0.1, 1.0
"""On this machine: from process to process over loopback; a synced write of the embedded database."""
RATE, SECONDS = 50, 6.0
"""Values a second that a program publishes, each a message of its own, and for how long that is watched."""
LISTENERS = 50
EXECUTORS, BEATS_PER_SECOND, BEATS = 200, 100, 1000
PARAMETERS = Path(__file__).with_name("parameters.json")

PUBLISHING = """
import time


def run(task, userpub, params):
    for _ in range(params["count"]):
        userpub.publish({"t": time.time_ns()})
        time.sleep(params["pause"])
"""

Spent = Mapping[str, float]
"""CPU milliseconds by part."""


@dataclass
class Parts:
    """The running composition, and what its processes have spent."""

    url: str
    processes: dict[str, Process]
    rabbit: RabbitNode
    mongo: MongoServer

    def spent(self) -> Spent:
        """Return CPU milliseconds of every part up to now; `sandboxes` is all that executors have started."""
        found = {"rabbit": _whole(self.rabbit.pid), "mongo": _whole(self.mongo.pid)}
        for name, each in self.processes.items():
            assert each.process is not None
            found[name] = _own(each.process.pid)
            if name == "executor":
                found["sandboxes"] = _whole(each.process.pid) - found[name]
        return found | {"client": time.process_time() * 1000}


def _own(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) * 1000 / os.sysconf("SC_CLK_TCK")


def _whole(pid: int) -> float:
    total = cpu_ms(pid)
    for each in processes.descendants(pid):
        with contextlib.suppress(OSError):
            total += cpu_ms(each)
    return total


def _between(before: Spent, after: Spent, *, idle: Spent, seconds: float) -> dict[str, float]:
    """Return what was spent between two moments beyond what an idle composition spends."""
    return {name: max(0.0, after[name] - before[name] - idle.get(name, 0.0) * seconds) for name in after}


@asynccontextmanager
async def composition(directory: Path, *, replicas: int) -> AsyncIterator[Parts]:
    """Run gateways, schedulers, a registry and an executor on a private broker and database."""
    (directory / "rabbit").mkdir()
    rabbit, mongo = RabbitNode(directory / "rabbit"), MongoServer(directory / "mongo")
    ports = free_port(), free_port()
    started: dict[str, Process] = {}
    try:
        rabbit.start()
        mongo.start()
        named = {"registry": ("registry", 1), "executor": ("executor", 1)}
        named |= {
            f"{kind}-{number}": (kind, number)
            for kind in ("scheduler", "gateway")
            for number in range(1, replicas + 1)
        }
        for name, (kind, number) in named.items():
            settings = {"port": str(ports[number - 1])} if kind == "gateway" else {}
            if kind == "executor":
                settings = {"slots": str(SLOTS)}
            started[name] = service_process(
                kind, directory, rabbit.url, mongo.url, replica=number, settings=settings
            )
            await started[name].start()
        whole = Composition(f"http://127.0.0.1:{ports[0]}", started)
        await whole.ready()
        yield Parts(whole.url, started, rabbit, mongo)
    finally:
        await asyncio.gather(*(each.stop() for each in started.values() if each.process))
        rabbit.remove()
        mongo.remove()


async def idle_per_second(parts: Parts, seconds: float = 5.0) -> Spent:
    """Return CPU milliseconds that each part spends a second with nothing to do."""
    before, begun = parts.spent(), time.monotonic()
    await asyncio.sleep(seconds)
    after, took = parts.spent(), time.monotonic() - begun
    return {name: (after[name] - before[name]) / took for name in after}


async def jobs(parts: Parts, client: ClientSession, idle: Spent) -> dict[str, Any]:
    """Run many jobs at once; return CPU ms per job of each part, jobs/s, and how many cores were had."""
    before, whole, begun = parts.spent(), _machine(), time.monotonic()
    await asyncio.gather(*(finish(client, "hello") for _ in range(JOBS)))
    took = time.monotonic() - begun
    others = _machine() - whole - (sum(parts.spent().values()) - sum(before.values()))
    await asyncio.sleep(1.0)  # what is still stored and answered belongs to the jobs
    spent = _between(before, parts.spent(), idle=idle, seconds=took + 1.0)
    return {
        "cpu_ms": {name: value / JOBS for name, value in spent.items()},
        "per_s": JOBS / took,
        "cores_had": sum(spent.values()) / 1000 / took,
        "cores_free": (os.cpu_count() or 1) - max(0.0, others) / 1000 / took,
    }


def _machine() -> float:
    """Return CPU milliseconds that the whole machine has spent."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _waiting, irq, softirq, *_ = map(int, fields)
    return (user + nice + system + irq + softirq) * 1000 / os.sysconf("SC_CLK_TCK")


async def publishing(parts: Parts, api: Api, idle: Spent, *, listeners: int) -> dict[str, float]:
    """Return CPU milliseconds per published value of each part, with so many listeners to it."""
    program = await api.upload(PUBLISHING, limits={"interim_count": 10_000_000})
    count = round((SECONDS + 30) * RATE)
    job = await api.submit(program, {"count": count, "pause": 1 / RATE})
    await api.until_running(job)
    stream = f"ws{parts.url.removeprefix('http')}/v1/jobs/{job['id']}/stream"
    begun, before = time.monotonic(), parts.spent()
    if listeners:
        before = {}

        async def mark() -> None:
            nonlocal before, begun
            await asyncio.sleep(4.0)  # all are connected and have read the past
            begun, before = time.monotonic(), parts.spent()
            await asyncio.sleep(SECONDS)

        watching = asyncio.ensure_future(
            listen("latency", stream, token=TOKEN, listeners=listeners, seconds=SECONDS + 4)
        )
        await mark()
    else:
        await asyncio.sleep(SECONDS)
    took, after = time.monotonic() - begun, parts.spent()
    if listeners:
        await watching
    await api.http.post(f"/v1/jobs/{job['id']}/cancel")
    await api.result(job)
    spent = _between(before, after, idle=idle, seconds=took)
    return {name: value / (took * RATE) for name, value in spent.items()}


async def heartbeats(parts: Parts, idle: Spent) -> dict[str, float]:
    """Return CPU milliseconds per heartbeat of each part; `client` is what publishing one costs."""
    async with open_bus(BusSettings(url=SecretStr(parts.rabbit.url)), name="heartbeats") as bus:
        await bus.publish(_beat(0))
        before, begun = parts.spent(), time.monotonic()
        for number in range(BEATS):
            await bus.publish(_beat(number % EXECUTORS))
            due = begun + (number + 1) / BEATS_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.sleep(0.5)
        took, after = time.monotonic() - begun, parts.spent()
    spent = _between(before, after, idle=idle, seconds=took)
    return {name: value / BEATS for name, value in spent.items()}


def _beat(number: int) -> Heartbeat:
    return Heartbeat(
        executor=f"played-{number}",
        incarnation=f"{number:032x}",
        slots=0,
        isolation=Isolation.JAIL,
        kinds=(ProgramKind.QUAFU, ProgramKind.TEMPLATE),
        cpus=8.0,
        memory_bytes=32 << 30,
    )


async def measure() -> dict[str, Any]:
    """Start everything and return all raw figures."""
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="qrt-simulate-"))
        parts = await stack.enter_async_context(composition(Path(directory), replicas=2))
        client = await stack.enter_async_context(client_of(parts.url, token=TOKEN))
        api = await stack.enter_async_context(_api(parts.url))
        await upload(client, "hello")
        for _ in range(20):
            await finish(client, "hello")
        idle = await idle_per_second(parts)
        latency = await latencies(client)
        per_job = await jobs(parts, client, idle)
        alone = await publishing(parts, api, idle, listeners=0)
        watched = await publishing(parts, api, idle, listeners=LISTENERS)
        beats = await heartbeats(parts, idle)
        memory = {
            name: round(processes.proportional_bytes(each.process.pid) / 1e6, 1)
            for name, each in parts.processes.items()
            if each.process is not None
        }
    return {
        "idle_ms_per_s": idle,
        "latency_ms": latency,
        "job": per_job,
        "output": alone,
        "watched": watched,
        "heartbeat": beats,
        "memory_mb": memory,
    }


async def latencies(client: ClientSession) -> dict[str, float]:
    """Run jobs one after the other; return milliseconds from submission to result."""
    times = [await timed(lambda: finish(client, "hello")) for _ in range(50)]
    return {"p50": percentile(times, 0.5), "p95": percentile(times, 0.95)}


async def one_of_each() -> dict[str, Any]:
    """Return the rate and the latency of another composition, which no parameter was taken from."""
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="qrt-simulate-"))
        parts = await stack.enter_async_context(composition(Path(directory), replicas=1))
        client = await stack.enter_async_context(client_of(parts.url, token=TOKEN))
        await upload(client, "hello")
        for _ in range(20):
            await finish(client, "hello")
        idle = await idle_per_second(parts, 2.0)
        return {"latency_ms": await latencies(client), "job": await jobs(parts, client, idle)}


def rates(raw: Mapping[str, Any]) -> dict[str, float]:
    """Return what a simulation of this composition is to foretell."""
    return {
        "latency_p50_ms": raw["latency_ms"]["p50"],
        "jobs_per_s": round(raw["job"]["per_s"], 2),
        "cores_had": round(raw["job"]["cores_had"], 3),
        "cores_free": round(raw["job"]["cores_free"], 3),
    }


@asynccontextmanager
async def _api(url: str) -> AsyncIterator[Api]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=90) as http:
        yield Api(http)


def _pair(spent: Mapping[str, float], kind: str, *, used: str | None = None) -> tuple[float, float]:
    """Return what one replica alone spends and what the other one of a pair does: (more, less)."""
    both = sorted((spent[f"{kind}-1"], spent[f"{kind}-2"]), reverse=True)
    if used is not None:
        other = f"{kind}-2" if used.endswith("1") else f"{kind}-1"
        return spent[used], spent[other]
    return both[0], both[1]


def parameters(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the simulation reads, from the raw figures."""
    job, output, watched, beat = raw["job"]["cpu_ms"], raw["output"], raw["watched"], raw["heartbeat"]
    gateway_used, gateway_other = _pair(job, "gateway", used="gateway-1")
    dispatching, sharing = _pair(job, "scheduler")
    beat_dispatcher, _ = _pair(beat, "scheduler")
    found = {
        "gateway_job_ms": (gateway_used - gateway_other, "requests of one job: submission, result"),
        "gateway_news_ms": (gateway_other, "news of one job, at every gateway"),
        "registry_job_ms": (job["registry"], "one job"),
        "scheduler_job_ms": (2 * sharing, "one job's commands, outbox and outputs, at any replica"),
        "dispatcher_job_ms": (dispatching - sharing, "one job, at the replica that dispatches"),
        "executor_job_ms": (job["executor"], "one job, in the executor itself"),
        "sandbox_job_ms": (job["sandboxes"], "one job, in its sandbox and in making the next one"),
        "rabbit_job_ms": (job["rabbit"], "one job, all its messages"),
        "mongo_job_ms": (job["mongo"], "one job, all its reads and writes"),
        "client_job_ms": (job["client"], "one job, in the client that shares this machine"),
        "gateway_output_ms": (
            max(0.0, watched["gateway-1"] - output["gateway-1"]) / LISTENERS,
            "one output to one listener",
        ),
        "scheduler_output_ms": (output["scheduler-1"] + output["scheduler-2"], "one batch of outputs"),
        "executor_output_ms": (output["executor"], "one batch of outputs"),
        "rabbit_output_ms": (output["rabbit"], "one batch of outputs"),
        "mongo_output_ms": (output["mongo"], "one batch of outputs"),
        "dispatcher_beat_ms": (beat_dispatcher, "one heartbeat, at the replica that dispatches"),
        "gateway_beat_ms": (_pair(beat, "gateway")[1], "one heartbeat, at every gateway"),
        "rabbit_beat_ms": (beat["rabbit"], "one heartbeat, to a dispatcher and two gateways"),
        "executor_beat_ms": (beat["client"], "one heartbeat, where it is sent"),
    }
    return {
        name: {"value": round(value, 4), "unit": "CPU ms", "of": of, "source": "measure.py"}
        for name, (value, of) in found.items()
    }


def main() -> None:
    """Measure; print the raw figures and with `--write` renew the file of parameters."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help=f"renew {PARAMETERS.name}")
    given = parser.parse_args()
    raw = asyncio.run(measure())
    if given.write:
        kept = json.loads(PARAMETERS.read_text())
        kept["measured"] = {
            "at": datetime.now(UTC).date().isoformat(),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            "cores": os.cpu_count(),
            "jobs": JOBS,
            "slots": SLOTS,
            "hop_ms": HOP_MS,
            "store_ms": STORE_MS,
            "two of each": rates(raw),
            "one of each": rates(asyncio.run(one_of_each())),
            "memory_mb": raw["memory_mb"],
        }
        kept["parameters"] |= parameters(raw)
        PARAMETERS.write_text(json.dumps(kept, indent=1) + "\n")
    for name, figure in parameters(raw).items():
        print(f"{name:<22}{figure['value']:>10} {figure['unit']}: {figure['of']}")
    json.dump(raw, sys.stdout)
    print()


if __name__ == "__main__":
    main()
