"""Where and with what something was measured."""

import asyncio
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import aio_pika

from benchmarks.peers.figures import Machine, now
from benchmarks.peers.systems import BENCH_PYTHON
from tests.system.composition import ROOT

OURS = ("qrt-scheduler", "aio-pika", "motor", "SecantusDB")
PEERS = ("celery", "taskiq", "taskiq-aio-pika", "ray", "pyquafu", "numpy")
_ASK = """
import importlib.metadata as m, json, sys
def version(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return "not installed"
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


async def describe(rabbit: str) -> Machine:
    """Return what this machine is, and the versions of everything that is measured."""
    load, at = os.getloadavg()[0], now()
    peers = await asyncio.to_thread(_run, str(BENCH_PYTHON), "-c", _ASK, *PEERS)
    versions = {name: version(name) for name in OURS} | json.loads(peers)
    versions["RabbitMQ"] = await _broker(rabbit)
    return Machine(
        at=at,
        commit=await asyncio.to_thread(_commit),
        cores=os.cpu_count() or 1,
        processor=_first("/proc/cpuinfo", "model name") or platform.machine(),
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        load_before=round(load, 2),
        versions=versions,
    )


async def _broker(rabbit: str) -> str:
    async with await aio_pika.connect(rabbit) as connection:
        transport = connection.transport
        assert transport is not None
        found = dict(getattr(transport.connection, "server_properties", None) or {}).get("version", "")
        return found.decode() if isinstance(found, bytes) else str(found)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()


def _commit() -> str:
    """Return the commit that is measured; empty outside of a clone."""
    try:
        return _run("git", "rev-parse", "--short", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _first(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
