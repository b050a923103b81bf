"""One job that prints very many lines, beside the same program in an interpreter of its own."""

import asyncio
import subprocess
import time

from aiohttp import ClientSession

from benchmarks.peers.figures import Logging
from benchmarks.peers.growth import crowd
from benchmarks.peers.systems import Machinery
from tests.support.waiting import wait_until
from tests.system.composition import PROGRAM_PYTHON, SERVICES, TOKEN
from tests.system.scaled import scaled

LINES = (100, 1_000, 10_000, 100_000, 1_000_000)
QUICK = LINES[:-1]
PATIENCE_SECONDS = 120
PROGRAM = """
def run(task, userpub, params):
    for number in range(params["lines"]):
        print(f"line {number:>26}")
"""
LIMITS = {"log_bytes": 64 << 20}
"""The default, 16 MiB, drops what is printed beyond it."""


async def measure(on: Machinery, *, quick: bool) -> list[Logging]:
    """Return how long the job takes, until its end and until all its lines can be read."""
    settings = {name: {"mongo_prefix": "logs-"} for name in SERVICES}
    async with (
        scaled(on.directory, on.rabbit.url, on.mongo.url, settings=settings) as whole,
        crowd.clients(whole.urls, (TOKEN,)) as (client,),
    ):
        program = await crowd.upload(client, "prints", PROGRAM, limits=LIMITS)
        await _printed(client, program, lines=10)  # warm
        return [await _printed(client, program, lines=lines) for lines in (QUICK if quick else LINES)]


async def _printed(client: ClientSession, program: str, *, lines: int) -> Logging:
    start = time.perf_counter()
    job = await crowd.submit(client, program, {"lines": lines})
    await crowd.result(client, job)
    ended = time.perf_counter()

    async def all_readable() -> bool:
        return await _readable(client, job) >= lines

    await wait_until(all_readable, description=f"{lines} lines to read", seconds=PATIENCE_SECONDS)
    return Logging(
        lines=lines,
        seconds=round(ended - start, 4),
        readable_s=round(time.perf_counter() - start, 4),
        bare_s=round(await asyncio.to_thread(_bare, lines), 4),
    )


async def _readable(client: ClientSession, job: str) -> int:
    found = 0
    async with client.get(f"/v1/jobs/{job}/logs") as reply:
        async for piece in reply.content.iter_any():
            found += piece.count(b"\n")
    return found


def _bare(lines: int) -> float:
    source = f"{PROGRAM}\nrun(None, None, {{'lines': {lines}}})\n"
    start = time.perf_counter()
    with subprocess.Popen([PROGRAM_PYTHON, "-c", source], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.read(1 << 16):
            pass
    return time.perf_counter() - start
