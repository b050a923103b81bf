"""The systems that are compared: how each is started, which processes are its own, and its client."""

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.jobs import client_of, upload
from benchmarks.peers.driver import Driver, driver
from tests.support.mongo import MongoServer
from tests.support.processes import Child, free_port
from tests.support.rabbit import RabbitNode
from tests.support.waiting import wait_until
from tests.system.composition import PROGRAM_PYTHON, ROOT, TOKEN
from tests.system.scaled import scaled

SLOTS = 2
"""Jobs that each system runs at once."""
PYTHON = Path(sys.executable)
BENCH_PYTHON = ROOT / ".venv" / "bench" / "bin" / "python"
RAY = BENCH_PYTHON.parent / "ray"


@dataclass(frozen=True)
class Machinery:
    """What the systems stand on."""

    rabbit: RabbitNode
    mongo: MongoServer
    directory: Path


@dataclass(frozen=True)
class System:
    """A running system."""

    client: Sequence[str]
    """Module of `benchmarks.peers.clients` and its arguments."""
    python: Path
    """What the client runs in."""
    own: Sequence[int] = ()
    """Its processes, what is below them included; none: all that there is runs below the client."""
    environ: Mapping[str, str] = field(default_factory=dict)

    def driven(self) -> AbstractAsyncContextManager[Driver]:
        """Start its client."""
        module, *arguments = self.client
        return driver(module, *arguments, python=self.python, environ=self.environ)


Start = AbstractAsyncContextManager[System]


@asynccontextmanager
async def runtime(on: Machinery) -> AsyncIterator[System]:
    """Run this runtime: gateway, registry, scheduler and executor as processes."""
    settings = {"executor": {"slots": str(SLOTS)}}
    async with scaled(on.directory, on.rabbit.url, on.mongo.url, settings=settings) as whole:
        async with client_of(whole.urls[0], token=TOKEN) as client:
            await upload(client, "hello")
        yield System(("runtime", whole.urls[0], TOKEN), PYTHON, whole.pids)


@asynccontextmanager
async def floor(on: Machinery) -> AsyncIterator[System]:
    """Run the bare floor's four processes."""
    port = free_port()
    roles = ("registry", "scheduler", "executor", "gateway")
    settings = (on.rabbit.url, on.mongo.url, str(port), str(PROGRAM_PYTHON))
    commands = [(str(PYTHON), "-m", "benchmarks.floor", role, *settings) for role in roles]
    async with _running(commands, on.directory / "floor.log", {"PYTHONPATH": str(ROOT)}) as own:
        yield System(("floor", f"http://127.0.0.1:{port}"), PYTHON, own)


@asynccontextmanager
async def celery(on: Machinery) -> AsyncIterator[System]:
    """Run Celery's prefork pool, a process per task, forked from a parent that has the program loaded."""
    environ = {"PEER_BROKER": on.rabbit.url, "PYTHONPATH": str(ROOT)}
    worker = (
        *(str(BENCH_PYTHON), "-m", "celery", "-A", "benchmarks.peers.workers.celery", "worker"),
        *("--pool=prefork", f"--concurrency={SLOTS}", "--max-tasks-per-child=1", "--loglevel=ERROR"),
        *("--without-gossip", "--without-mingle"),
    )
    async with _running([worker], on.directory / "celery.log", environ) as own:
        yield System(("celery",), BENCH_PYTHON, own, environ)


@asynccontextmanager
async def taskiq(on: Machinery, *, fresh: bool) -> AsyncIterator[System]:
    """Run Taskiq with two worker processes of one task at a time, shared by all tasks or `fresh` for each."""
    environ = {"PEER_BROKER": on.rabbit.url, "PYTHONPATH": str(ROOT)}
    worker = (
        *(str(BENCH_PYTHON), "-m", "taskiq", "worker", "benchmarks.peers.workers.taskiq:broker"),
        *("--workers", str(SLOTS), "--max-async-tasks", "1", "--log-level", "ERROR"),
        *(("--max-tasks-per-child", "1") if fresh else ()),
    )
    async with _running([worker], on.directory / "taskiq.log", environ) as own:
        yield System(("taskiq",), BENCH_PYTHON, own, environ)


@asynccontextmanager
async def ray(on: Machinery) -> AsyncIterator[System]:
    """Run a Ray cluster of one node with as many CPUs as there are slots, for Ray Jobs.

    Raises:
        FileNotFoundError: Ray is not installed.
    """
    if not RAY.exists():
        raise FileNotFoundError("Ray could not be installed for this Python and platform")
    dashboard, scratch = free_port(), on.directory / "ray"
    scratch.mkdir(exist_ok=True)
    environ = {
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",  # Ray lets everybody who reaches it run anything otherwise
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_DISABLE_IMPORT_WARNING": "1",
    }
    head = (
        *(str(RAY), "start", "--head", "--block", "--disable-usage-stats"),
        # 127.0.0.1 itself is taken to mean this machine's address in its network.
        *("--node-ip-address=127.0.0.2", f"--port={free_port()}", f"--ray-client-server-port={free_port()}"),
        *("--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", f"--num-cpus={SLOTS}"),
        *(f"--temp-dir={scratch}", "--object-store-memory=100000000"),
    )
    url = f"http://127.0.0.1:{dashboard}"
    async with _running([head], on.directory / "ray.log", environ) as own:
        await wait_until(lambda: _answers(f"{url}/api/version"), description="Ray's dashboard", seconds=90)
        yield System(("ray", url, str(PROGRAM_PYTHON)), BENCH_PYTHON, own, environ)


@asynccontextmanager
async def fresh(on: Machinery) -> AsyncIterator[System]:
    """Run nothing: the client starts an interpreter per job."""
    del on
    yield System(("fresh", str(PROGRAM_PYTHON), str(SLOTS)), PYTHON)


async def _answers(url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as client,
            client.get(url) as reply,
        ):
            return reply.status < 500
    return False


@asynccontextmanager
async def _running(
    commands: Sequence[Sequence[str]], log: Path, environ: Mapping[str, str]
) -> AsyncIterator[list[int]]:
    children = [Child(command, log=log, env=os.environ | environ) for command in commands]
    try:
        yield [each.pid for each in children]
    finally:
        await asyncio.gather(*(asyncio.to_thread(each.terminate) for each in children))
