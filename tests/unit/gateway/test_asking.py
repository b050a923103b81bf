"""Questions that many ask at once are put once, and nobody gets an answer older than their question."""

import asyncio

import pytest

from qrt_contracts.faults import Unavailable
from qrt_gateway.service.asking import Asking
from tests.support.waiting import wait_until


class Oracle:
    """Answers with how often it was asked, when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.speak = asyncio.Semaphore(0)

    async def question(self) -> int:
        self.asked += 1
        mine = self.asked
        await self.speak.acquire()
        return mine

    async def refuse(self) -> int:
        await self.question()
        raise Unavailable("no answer")


async def asked(oracle: Oracle, times: int) -> None:
    await wait_until(lambda: oracle.asked == times, description=f"question {times} is put")


async def test_who_comes_while_an_answer_is_on_its_way_shares_the_next_one() -> None:
    oracle, asking = Oracle(), Asking[int](at_once=2)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        first = [group.create_task(asking.ask("a", oracle.question)) for _ in range(100)]
        await asked(oracle, 1)
        later = [group.create_task(asking.ask("a", oracle.question)) for _ in range(100)]
        await asyncio.sleep(0)
        oracle.speak.release()
        await asked(oracle, 2)
        oracle.speak.release()
    assert {each.result() for each in first} == {1}
    assert {each.result() for each in later} == {2}


async def test_different_questions_are_put_side_by_side_up_to_a_bound() -> None:
    oracle, asking = Oracle(), Asking[int](at_once=2)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for key in range(5):
            group.create_task(asking.ask(key, oracle.question))
        await asked(oracle, 2)
        for _ in range(10):
            await asyncio.sleep(0)
        assert oracle.asked == 2
        for _ in range(5):
            oracle.speak.release()
    assert oracle.asked == 5


async def test_who_waits_for_room_is_joined_by_all_who_ask_the_same() -> None:
    oracle, asking = Oracle(), Asking[int](at_once=1)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(asking.ask("a", oracle.question))
        await asked(oracle, 1)
        for _ in range(50):
            group.create_task(asking.ask("b", oracle.question))
            await asyncio.sleep(0)
        oracle.speak.release()
        oracle.speak.release()
    assert oracle.asked == 2


async def test_who_leaves_takes_the_answer_from_nobody() -> None:
    oracle, asking = Oracle(), Asking[int](at_once=1)
    async with asyncio.timeout(10):
        leaves = asyncio.create_task(asking.ask("a", oracle.question))
        stays = asyncio.create_task(asking.ask("a", oracle.question))
        await asked(oracle, 1)
        leaves.cancel()
        await asyncio.wait({leaves})
        oracle.speak.release()
        assert await stays == 1


async def test_an_error_reaches_all_who_share_the_question_and_spoils_no_later_one() -> None:
    oracle, asking = Oracle(), Asking[int](at_once=1)
    async with asyncio.timeout(10):
        both = [asyncio.create_task(asking.ask("a", oracle.refuse)) for _ in range(2)]
        await asked(oracle, 1)
        oracle.speak.release()
        for each in both:
            with pytest.raises(Unavailable):
                await each
        oracle.speak.release()
        assert await asking.ask("a", oracle.question) == 2
