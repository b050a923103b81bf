"""Waiting for descriptors."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from qrt_executor.adapters.descriptors import AnyReadable, Reader, Watch, close_all, readable


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


async def test_a_watch_tells_each_time_that_something_came(pipe: tuple[int, int]) -> None:
    readable_end, written_end = pipe
    watch = Watch(readable_end)
    async with asyncio.timeout(10):
        for word in (b"one", b"two", b"three"):
            waiting = asyncio.create_task(watch.readable())
            await asyncio.sleep(0)
            os.write(written_end, word)
            await waiting
            assert os.read(readable_end, 100) == word
    watch.close()


async def test_a_watch_tells_what_came_while_nobody_waited(pipe: tuple[int, int]) -> None:
    readable_end, written_end = pipe
    watch = Watch(readable_end)
    given_up = asyncio.create_task(watch.readable())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)

    os.write(written_end, b"x")
    await asyncio.sleep(0.01)  # the loop sees it, and stops looking

    async with asyncio.timeout(10):
        await watch.readable()
    watch.close()


async def test_a_watch_outlives_its_descriptor_and_leaves_nothing_open(pipe: tuple[int, int]) -> None:
    readable_end, written_end = pipe
    before = os.listdir("/proc/self/fd")
    watch = Watch(readable_end)
    waiting = asyncio.create_task(watch.readable())
    await asyncio.sleep(0)
    os.close(readable_end)
    os.write(written_end, b"x")
    async with asyncio.timeout(10):
        await waiting
    watch.close()
    assert len(os.listdir("/proc/self/fd")) == len(before) - 1


async def test_one_question_tells_whether_any_of_several_has_something() -> None:
    (first, first_end), (second, second_end) = os.pipe(), os.pipe()
    readers = Reader(first), Reader(second)
    any_readable = AnyReadable(*readers)
    assert not any_readable
    os.write(second_end, b"x")
    assert any_readable
    assert readers[1].now(10) == b"x"
    assert not any_readable
    close_all(first_end, second_end)
    assert any_readable  # the end, too
    for each in readers:
        each.close()
