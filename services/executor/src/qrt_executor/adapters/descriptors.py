"""Waiting for file descriptors without threads."""

import asyncio
import os
import select


async def readable(fd: int) -> None:
    """Return when `fd` can be read: data, end of file, or for a pidfd the process's death.

    A duplicate is watched: event loops know descriptors by number. A second one who waits for `fd` would take
    the first one's place, and whoever closes it meanwhile would leave that to the next one of its number.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    watched = os.dup(fd)

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(watched, wake)
    try:
        await ready
    finally:
        loop.remove_reader(watched)
        os.close(watched)


def is_readable(fd: int) -> bool:
    """Tell whether `fd` can be read now."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


class Reader:
    """Reads one non-blocking descriptor; owns it."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._open = True

    def now(self, size: int) -> bytes | None:
        """Return what is there, b"" at the end of file, None if nothing is there yet."""
        if not self._open:
            return b""
        try:
            return os.read(self._fd, size)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return b""

    async def read(self, size: int) -> bytes:
        """Return what is there, once something is; b"" at the end of file."""
        while (data := self.now(size)) is None:
            await readable(self._fd)
        return data

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        if self._open:
            self._open = False
            os.close(self._fd)


def close_all(*fds: int) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
