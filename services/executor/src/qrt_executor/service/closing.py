"""Closes sandboxes whose attempts are over, off the path of the report."""

import asyncio

from qrt_chassis.tasks import Tasks
from qrt_executor.ports import Sandbox


class Closing:
    """Owner of the closings; at most `most` at once, then whoever brings the next one waits.

    Every process of an ended attempt is dead before its sandbox gets here: what is left is descriptors,
    private file systems and control groups, over which the kernel takes some milliseconds.
    """

    def __init__(self, *, most: int) -> None:
        self._tasks = Tasks("closing sandboxes")
        self._room = asyncio.Semaphore(most)

    async def take(self, sandbox: Sandbox) -> None:
        """Close a sandbox in the background."""
        await self._room.acquire()
        self._tasks.start(self._close(sandbox), name="closing")

    async def _close(self, sandbox: Sandbox) -> None:
        try:
            await sandbox.close()
        finally:
            self._room.release()

    async def close(self) -> None:
        """Wait until all are closed."""
        await self._tasks.done()
