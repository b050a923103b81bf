"""The runtime's client, over HTTP: `... URL TOKEN`. The program `hello` is there already."""

import asyncio
import sys
from functools import partial

from benchmarks.jobs import client_of, finish
from benchmarks.peers.driven import drive


async def main() -> None:
    """Serve standard input."""
    url, token = sys.argv[1:]

    async with client_of(url, token=token) as client:
        run = partial(finish, client, "hello")

        async def one() -> bool:
            await run()
            return True

        await drive(one)


if __name__ == "__main__":
    asyncio.run(main())
