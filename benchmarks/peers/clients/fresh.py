"""A fresh interpreter per job, without any queue: `... PROGRAM_PYTHON SLOTS`."""

import asyncio
import subprocess
import sys

from benchmarks.peers.driven import drive


async def main() -> None:
    """Serve standard input."""
    python, slots = sys.argv[1], asyncio.Semaphore(int(sys.argv[2]))

    async def one() -> bool:
        async with slots:
            process = await asyncio.create_subprocess_exec(
                *(python, "-m", "benchmarks.peers.hello"), stdout=subprocess.PIPE
            )
            said, _ = await process.communicate()
            return process.returncode == 0 and b"probabilities" in said

    await drive(one)


if __name__ == "__main__":
    asyncio.run(main())
