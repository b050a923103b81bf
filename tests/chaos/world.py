"""Two of each service, the broker and the database behind proxies that can be made to misbehave."""

import asyncio
import contextlib
import ctypes
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.mongo import MongoServer
from tests.support.processes import free_port
from tests.support.proxy import Proxy, open_proxy
from tests.support.rabbit import RabbitNode
from tests.system.composition import SERVICES, Composition, Process, service_process

LEASE_SECONDS = 5.0
REPLICAS = (1, 2)
SLOTS = 4


@dataclass
class World:
    """What a run harms."""

    directory: Path
    rabbit: RabbitNode
    mongo: MongoServer
    rabbit_proxy: Proxy
    mongo_proxy: Proxy
    processes: dict[str, list[Process]]
    urls: list[str]
    metrics: list[str]
    """Where each scheduler tells its metrics."""

    def all_processes(self) -> list[Process]:
        return [each for replicas in self.processes.values() for each in replicas]

    async def ready(self, within: float) -> None:
        for url in self.urls:
            await Composition(url).ready(within)


def adopt_orphans() -> None:
    """Make this process the parent of whatever its descendants leave behind, so that it can be seen."""
    set_child_subreaper = 36
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(set_child_subreaper, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def descendants(of: int) -> dict[int, str]:
    """Return the living descendants of a process, with their command lines."""
    children: dict[int, list[int]] = {}
    commands: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(entry.name)
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(pid)
                commands[pid] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
    found: dict[int, str] = {}
    waiting = [of]
    while waiting:
        for pid in children.get(waiting.pop(), []):
            found[pid] = commands[pid]
            waiting.append(pid)
    return found


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Start everything; on leaving, end everything."""
    async with AsyncExitStack() as stack:
        directory = _directory(stack.enter_context(tempfile.TemporaryDirectory(prefix="qrt-chaos-")))
        rabbit, mongo = RabbitNode(directory / "rabbit"), MongoServer(directory / "mongo")
        stack.callback(mongo.remove)
        stack.callback(rabbit.remove)
        rabbit.spawn()
        mongo.spawn()
        await asyncio.to_thread(rabbit.wait_ready)
        await asyncio.to_thread(mongo.wait_ready)
        rabbit_proxy = await stack.enter_async_context(open_proxy(rabbit.url))
        mongo_proxy = await stack.enter_async_context(open_proxy(mongo.url))
        made = _world(directory, rabbit, mongo, rabbit_proxy, mongo_proxy)
        stack.push_async_callback(_end, made)
        for process in made.all_processes():
            await process.start()
        await made.ready(120)
        yield made


def _directory(name: str) -> Path:
    """Return a directory that the programs' user can reach, too."""
    directory = Path(name)
    directory.chmod(0o755)
    return directory


def _world(
    directory: Path, rabbit: RabbitNode, mongo: MongoServer, rabbit_proxy: Proxy, mongo_proxy: Proxy
) -> World:
    ports = [free_port() for _ in REPLICAS]
    health = [free_port() for _ in REPLICAS]
    processes = {
        name: [
            service_process(
                name,
                directory,
                rabbit_proxy.url(rabbit.url),
                mongo_proxy.url(mongo.url),
                replica=replica,
                settings=_settings(name, ports[replica - 1], health[replica - 1]),
            )
            for replica in REPLICAS
        ]
        for name in SERVICES
    }
    return World(
        directory=directory,
        rabbit=rabbit,
        mongo=mongo,
        rabbit_proxy=rabbit_proxy,
        mongo_proxy=mongo_proxy,
        processes=processes,
        urls=[f"http://127.0.0.1:{port}" for port in ports],
        metrics=[f"http://127.0.0.1:{port}/metrics" for port in health],
    )


def _settings(name: str, port: int, health: int) -> dict[str, str]:
    if name == "gateway":
        return {"port": str(port)}
    if name == "scheduler":
        return {"lease_seconds": str(LEASE_SECONDS), "health_port": str(health)}
    if name == "executor":
        return {"slots": str(SLOTS), "drain_seconds": "3", "grace_seconds": "1"}
    return {}


async def _end(made: World) -> None:
    running = [each for each in made.all_processes() if each.process]
    for each in running:
        with contextlib.suppress(ProcessLookupError):
            each.signal(signal.SIGCONT)
    await asyncio.gather(*(each.stop(within=60) for each in running))


def leftover_processes(known: set[int]) -> dict[int, str]:
    """Return what this process's descendants left running, but for `known` pids and theirs."""
    spared = set(known)
    for pid in known:
        spared |= set(descendants(pid))
    return {pid: command for pid, command in descendants(os.getpid()).items() if pid not in spared}
