"""The shorter ways through the RabbitMQ transport lose, repeat and mix up nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from qrt_chassis.bus.open import open_bus
from qrt_chassis.bus.port import AtOnce, Bus, Subscription, Undeliverable
from qrt_contracts.message import Exchange
from tests.contract.messages import Noted
from tests.contract.transports import bus_settings, fresh
from tests.support.waiting import wait_until


@pytest.fixture
async def bus(rabbit_url: str) -> AsyncIterator[Bus]:
    async with open_bus(bus_settings(rabbit_url), name=fresh("test")) as opened:
        await opened.ping()
        yield opened


async def test_each_publisher_of_a_crowd_hears_of_its_own_message(bus: Bus) -> None:
    """Large ones, and those that find the driver's writer full, go another way than the others."""
    topic, got = fresh("topic"), list[int]()
    queue = Subscription(queue=fresh("q"), bindings=((Exchange.EVENTS, topic),), durable=False)
    await bus.subscribe(queue, {Noted: AtOnce(lambda note: got.append(note.number))})

    async def publish(number: int) -> bool:
        text = "x" * 300_000 if number % 10 == 3 else ""
        there = topic if number % 7 else fresh("nowhere")
        try:
            await bus.publish(Noted(topic=there, number=number, text=text), mandatory=True)
        except Undeliverable:
            return False
        return True

    expected = [number for number in range(1, 60) if number % 7]
    for _ in range(3):
        got.clear()
        taken = await asyncio.gather(*map(publish, range(1, 60)))
        assert [number for number, was in enumerate(taken, 1) if was] == expected
        await wait_until(lambda: sorted(got) == expected, description="all that were taken, once")


async def test_what_is_handled_at_once_makes_room_for_more_than_the_prefetch(bus: Bus) -> None:
    topic, got = fresh("topic"), list[int]()
    subscription = Subscription(
        queue=fresh("q"), bindings=((Exchange.EVENTS, topic),), durable=False, prefetch=8
    )
    await bus.subscribe(subscription, {Noted: AtOnce(lambda note: got.append(note.number))})
    for number in range(30):
        await bus.publish(Noted(topic=topic, number=number))
    await asyncio.gather(*(bus.publish(Noted(topic=topic, number=number)) for number in range(30, 100)))
    await wait_until(lambda: got == list(range(100)), description="all, in order")
