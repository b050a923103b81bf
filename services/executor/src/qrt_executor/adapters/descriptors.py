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


class Watch:
    """Tells time after time when one descriptor can be read: cheaper than `readable` for each time.

    A duplicate is watched, as there; for as long as somebody waits, and until more comes after that.
    """

    def __init__(self, fd: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = os.dup(fd)
        self._watched = False
        self._waiting: asyncio.Future[None] | None = None

    async def readable(self) -> None:
        """Return when the descriptor can be read; one at a time may wait."""
        if not self._watched:
            self._loop.add_reader(self._fd, self._wake)
            self._watched = True
        self._waiting = self._loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is None:  # what came is not read yet: the loop would turn for nothing
            self._pause()
        elif not self._waiting.done():
            self._waiting.set_result(None)

    def _pause(self) -> None:
        if self._watched:
            self._loop.remove_reader(self._fd)
            self._watched = False

    def close(self) -> None:
        """Watch no longer. Nobody may wait any more."""
        self._pause()
        os.close(self._fd)


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

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

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


class AnyReadable:
    """True while any of some readers, none of them closed, has something to read: one question for all."""

    def __init__(self, *readers: Reader) -> None:
        self._poll = select.poll()
        for each in readers:
            self._poll.register(each.fileno(), select.POLLIN)

    def __bool__(self) -> bool:
        return bool(self._poll.poll(0))


def close_all(*fds: int) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
