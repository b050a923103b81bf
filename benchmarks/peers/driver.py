"""The other end of `benchmarks.peers.driven`: a client process, told what to do."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.system.composition import ROOT

START_SECONDS = 90
ANSWER_SECONDS = 900


class ClientFailed(Exception):
    """A client ended, or its first job was lost."""


class Driver:
    """A client that waits to be told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The client's process."""
        return self._process.pid

    async def latency(self, runs: int) -> dict[str, Any]:
        """Run jobs one after the other; returns `seconds` of each and how many were `lost`."""
        return await self._ask({"latency": runs})

    async def rate(self, jobs: int) -> dict[str, Any]:
        """Run jobs all at once; returns `seconds`, `done`, `lost` and the client's `cpu_ms`."""
        return await self._ask({"rate": jobs})

    async def ready(self) -> None:
        """Wait for the client's first job.

        Raises:
            ClientFailed: it has no result.
        """
        async with asyncio.timeout(START_SECONDS):
            if not (await self._answer())["ready"]:
                raise ClientFailed("the first job was lost")

    async def _ask(self, what: dict[str, int]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise ClientFailed(f"its client ended with {await self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def driver(
    module: str, *args: str, python: Path, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Driver]:
    """Run a module of `benchmarks.peers.clients` and hand out its other end once its first job is done."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command(module, *args, python=python),
        stdin=pipe,
        stdout=pipe,
        limit=1 << 24,
        cwd=ROOT,
        env=os.environ | (environ or {}),
    )
    try:
        driving = Driver(process)
        await driving.ready()
        yield driving
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def command(module: str, *args: str, python: Path) -> Sequence[str]:
    """Return the command line of a client."""
    return (str(python), "-m", f"benchmarks.peers.clients.{module}", *args)
