"""What is asked for at once is done together, and nobody waits for company."""

import asyncio
from collections.abc import Sequence

import pytest

from qrt_chassis.grouped import Grouped


class _Store:
    """Answers each number with its double, when it is let."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def double(self, numbers: Sequence[int]) -> list[int]:
        self.groups.append(list(numbers))
        self.begun.set()
        await self.go.wait()
        if -1 in numbers:
            raise ConnectionError("away")
        return [2 * each for each in numbers]


async def test_what_is_asked_for_at_once_is_done_together_within_bounds() -> None:
    store = _Store()
    grouped = Grouped(store.double, most=3, owner="test")
    asking = [asyncio.ensure_future(grouped.ask(each)) for each in range(5)]
    store.go.set()
    assert await asyncio.gather(*asking) == [0, 2, 4, 6, 8]
    assert store.groups == [[0, 1, 2], [3, 4]]


async def test_who_asks_while_a_group_is_under_way_is_answered_by_the_next_one() -> None:
    store = _Store()
    grouped = Grouped(store.double, most=64, owner="test")
    first = asyncio.ensure_future(grouped.ask(1))
    await store.begun.wait()
    later = [asyncio.ensure_future(grouped.ask(each)) for each in (2, 3)]
    await asyncio.sleep(0)
    store.go.set()
    assert await asyncio.gather(first, *later) == [2, 4, 6]
    assert store.groups == [[1], [2, 3]]
    assert await grouped.ask(4) == 8


async def test_a_group_that_fails_fails_for_its_members_alone() -> None:
    store = _Store()
    store.go.set()
    grouped = Grouped(store.double, most=64, owner="test")
    with pytest.raises(ConnectionError):
        await grouped.ask(-1)
    assert await grouped.ask(1) == 2


async def test_one_who_has_left_does_not_take_the_others_along() -> None:
    store = _Store()
    grouped = Grouped(store.double, most=64, owner="test")
    leaving, staying = asyncio.ensure_future(grouped.ask(1)), asyncio.ensure_future(grouped.ask(2))
    await store.begun.wait()
    leaving.cancel()
    store.go.set()
    assert await staying == 4
    with pytest.raises(asyncio.CancelledError):
        await leaving
