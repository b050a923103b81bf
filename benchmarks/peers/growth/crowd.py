"""Many jobs at once, of several owners, over all gateways."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle, islice
from typing import Any

from aiohttp import ClientSession

from benchmarks.jobs import client_of

FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")


@asynccontextmanager
async def clients(urls: Sequence[str], tokens: Sequence[str]) -> AsyncIterator[list[ClientSession]]:
    """Return a client of each owner at each gateway."""
    async with AsyncExitStack() as stack:
        pairs = [(url, token) for token in tokens for url in urls]
        yield [await stack.enter_async_context(client_of(url, token=token)) for url, token in pairs]


async def upload(client: ClientSession, name: str, source: str, **more: Any) -> str:
    """Upload a program; return its id."""
    async with client.post("/v1/programs", json={"name": name, "source": source, **more}) as reply:
        program: str = (await reply.json())["id"]
        return program


async def submit(client: ClientSession, program: str, value: Any = None) -> str:
    """Submit a job; return its id."""
    async with client.post("/v1/jobs", json={"program_id": program, "input": value}) as reply:
        job: str = (await reply.json())["id"]
        return job


async def result(client: ClientSession, job: str) -> dict[str, Any]:
    """Wait for a job's end.

    Raises:
        SystemExit: it did not succeed.
    """
    while True:
        async with client.get(f"/v1/jobs/{job}/result", params={"wait": 55}) as reply:
            found: dict[str, Any] = await reply.json()
        if found["status"] in FINAL:
            break
    if found["status"] != "SUCCEEDED":
        raise SystemExit(f"job {job} ended as {found}")
    return found


async def rate(each: Sequence[tuple[ClientSession, str]], *, jobs: int) -> float:
    """Return jobs/s of `jobs` submitted at once, in turn by each client and of its program."""

    async def one(client: ClientSession, program: str) -> None:
        await result(client, await submit(client, program))

    start = time.perf_counter()
    await asyncio.gather(*(one(*pair) for pair in islice(cycle(each), jobs)))
    return jobs / (time.perf_counter() - start)
