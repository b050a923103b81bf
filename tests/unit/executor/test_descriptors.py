"""Waiting for descriptors."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from qrt_executor.adapters.descriptors import close_all, readable


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe of which the test closes what it likes."""
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            continue


async def _waiting(fd: int) -> asyncio.Task[None]:
    task = asyncio.create_task(readable(fd))
    await asyncio.sleep(0)
    return task


async def test_two_wait_for_the_same_descriptor(pipe: tuple[int, int]) -> None:
    readable_end, written_end = pipe
    first, second = await _waiting(readable_end), await _waiting(readable_end)

    os.write(written_end, b"x")

    async with asyncio.timeout(10):
        await asyncio.gather(first, second)


async def test_one_that_stops_waiting_does_not_stop_the_other(pipe: tuple[int, int]) -> None:
    readable_end, written_end = pipe
    first, second = await _waiting(readable_end), await _waiting(readable_end)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    os.write(written_end, b"x")

    async with asyncio.timeout(10):
        await second


async def test_a_descriptor_closed_while_watched_harms_no_later_one(pipe: tuple[int, int]) -> None:
    old, _ = pipe
    orphan = await _waiting(old)
    os.close(old)
    new, written_end = os.pipe()
    assert new == old  # numbers are given out from the lowest

    waiting = await _waiting(new)
    orphan.cancel()
    await asyncio.gather(orphan, return_exceptions=True)
    os.write(written_end, b"x")

    async with asyncio.timeout(10):
        await waiting
    close_all(written_end)


async def test_nothing_stays_open_after_the_wait(pipe: tuple[int, int]) -> None:
    before = os.listdir("/proc/self/fd")
    waiting = await _waiting(pipe[0])
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert os.listdir("/proc/self/fd") == before
