"""The bare floor's client, over HTTP: `... URL`."""

import asyncio
import sys

import aiohttp

from benchmarks.jobs import client_of
from benchmarks.peers.driven import One, drive
from tests.support.waiting import wait_until


async def main() -> None:
    """Serve standard input, once the floor's four processes answer."""
    async with client_of(sys.argv[1]) as client:

        async def one() -> bool:
            async with client.post("/", json={}) as reply:
                job = await reply.json()
            async with client.get(f"/{job['id']}") as reply:
                await reply.json()
            return True

        await wait_until(lambda: _answers(one), description="an answer of the floor", seconds=60)
        await drive(one)


async def _answers(one: One) -> bool:
    try:
        async with asyncio.timeout(3):  # what a process is asked before it consumes is never answered
            return await one()
    except (aiohttp.ClientError, TimeoutError):
        return False


if __name__ == "__main__":
    asyncio.run(main())
