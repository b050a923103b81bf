"""What the RabbitMQ transport promises when connections, consumers and the broker itself fail."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import aio_pika
import pytest

from qrt_chassis.bus.amqp.dead import list_dead, replay_dead
from qrt_chassis.bus.amqp.session import Session
from qrt_chassis.bus.amqp.topology import BROKER_GAVE_UP, CRASHES_ALLOWED
from qrt_chassis.bus.open import open_bus
from qrt_chassis.bus.port import Bus, Subscription
from qrt_contracts.faults import Unavailable
from qrt_contracts.message import Exchange
from tests.contract.messages import Add, Glimpsed, Noted, Sum
from tests.contract.transports import bus_settings, fresh
from tests.support.proxy import Proxy, open_proxy
from tests.support.rabbit import RabbitNode
from tests.support.waiting import wait_until


class Notes:
    """Remembers what a handler got, and how many were in it at once."""

    def __init__(self, *, slow: float = 0.0) -> None:
        self.got: Counter[int] = Counter()
        self.most_at_once = 0
        self._slow = slow
        self._inside = 0

    async def __call__(self, note: Noted) -> None:
        self._inside += 1
        self.most_at_once = max(self.most_at_once, self._inside)
        await asyncio.sleep(self._slow)
        self._inside -= 1
        self.got[note.number] += 1

    def has(self, *numbers: int) -> bool:
        return all(self.got[number] for number in numbers)


def durable(queue: str, topic: str, *, single_active: bool = False, max_deliveries: int = 5) -> Subscription:
    return Subscription(
        queue=queue,
        bindings=((Exchange.EVENTS, topic),),
        single_active=single_active,
        max_deliveries=max_deliveries,
    )


def transient(queue: str, topic: str) -> Subscription:
    return Subscription(queue=queue, bindings=((Exchange.EVENTS, topic),), durable=False)


@pytest.fixture
async def proxy(rabbit_url: str) -> AsyncIterator[Proxy]:
    async with open_proxy(rabbit_url) as opened:
        yield opened


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
async def steady(rabbit_url: str, stack: AsyncExitStack) -> Bus:
    """A bus that nothing happens to."""
    return await opened(stack, rabbit_url)


@pytest.fixture
async def shaky(rabbit_url: str, proxy: Proxy, stack: AsyncExitStack) -> Bus:
    """A bus whose connection goes through the proxy."""
    return await opened(stack, proxy.url(rabbit_url))


async def opened(stack: AsyncExitStack, url: str) -> Bus:
    bus = await stack.enter_async_context(open_bus(bus_settings(url), name=fresh("test")))
    await bus.ping()
    return bus


async def answers(bus: Bus) -> bool:
    try:
        await bus.ping()
    except Unavailable:
        return False
    return True


async def test_after_a_restart_of_the_broker_everything_is_live_again(
    rabbit_node: RabbitNode, steady: Bus
) -> None:
    topic, bound_later, service = fresh("a"), fresh("b"), fresh("s")
    kept, missed, restored = Notes(), Notes(), list[str]()

    async def add(command: Add) -> Sum:
        return Sum(total=command.left + command.right)

    await steady.subscribe(
        durable(fresh("q"), topic), {Noted: kept}, on_restored=lambda: restored.append("durable")
    )
    listening = await steady.subscribe(
        transient(fresh("q"), topic), {Noted: missed}, on_restored=lambda: restored.append("transient")
    )
    await listening.bind(Exchange.EVENTS, bound_later)
    await steady.serve(service, {Add: add})
    assert restored == []
    await rabbit_node.stop()
    publishing = asyncio.create_task(
        steady.publish(Noted(topic=topic, number=1), deadline=timedelta(seconds=60))
    )
    await rabbit_node.come_back()
    await publishing
    await wait_until(lambda: kept.has(1) and missed.has(1), description="both queues fed", seconds=30)
    assert sorted(restored) == ["durable", "transient"]
    await steady.publish(Noted(topic=bound_later, number=2))
    await wait_until(lambda: missed.has(2), description="the later binding is back")
    assert await steady.request(Add(to=service, left=1, right=1)) == Sum(total=2)


async def test_what_the_broker_confirmed_survives_its_sudden_death(
    rabbit_node: RabbitNode, steady: Bus
) -> None:
    topic, queue, notes = fresh("a"), fresh("q"), Notes()
    subscribed = await steady.subscribe(durable(queue, topic), {Noted: Notes()})
    await subscribed.cancel()
    # RabbitMQ saves its register of quorum queues half a second after a queue is new: a power cut
    # before that loses the queue itself, whatever was confirmed.
    await asyncio.sleep(1.5)
    await asyncio.gather(*(steady.publish(Noted(topic=topic, number=n)) for n in range(100)))
    await rabbit_node.kill()
    await rabbit_node.come_back()
    await steady.subscribe(durable(queue, topic), {Noted: notes})
    await wait_until(lambda: notes.has(*range(100)), description="all 100", seconds=30)


@pytest.mark.parametrize("cut_after", [1, 3_000, 20_000, 60_000])
async def test_no_message_is_lost_when_the_connection_is_cut_while_publishing(
    steady: Bus, shaky: Bus, proxy: Proxy, cut_after: int
) -> None:
    topic, notes = fresh("a"), Notes()
    await steady.subscribe(durable(fresh("q"), topic), {Noted: notes})
    proxy.cut_after_up = proxy.bytes_up + cut_after
    await asyncio.gather(*(shaky.publish(Noted(topic=topic, number=n, text="x" * 100)) for n in range(300)))
    await wait_until(lambda: notes.has(*range(300)), description="all 300 arrived")
    assert proxy.connections == 2


async def test_no_message_is_lost_when_the_connection_is_cut_while_consuming(
    steady: Bus, shaky: Bus, proxy: Proxy
) -> None:
    topic, notes = fresh("a"), Notes(slow=0.002)
    await shaky.subscribe(durable(fresh("q"), topic), {Noted: notes})
    publishing = asyncio.gather(*(steady.publish(Noted(topic=topic, number=n)) for n in range(300)))
    for threshold in (50, 150, 250):
        await wait_until(lambda t=threshold: len(notes.got) >= t, description=f"{threshold} handled")
        proxy.cut()
    await publishing
    await wait_until(lambda: notes.has(*range(300)), description="all 300 handled")
    assert notes.most_at_once == 1
    assert proxy.connections == 4


async def test_a_handler_that_outlives_its_connection_is_not_overtaken_by_its_redelivery(
    steady: Bus, shaky: Bus, proxy: Proxy
) -> None:
    topic, gate, running, calls = fresh("a"), asyncio.Event(), 0, list[int]()

    async def handle(_: Noted) -> None:
        nonlocal running
        running += 1
        calls.append(running)
        await gate.wait()
        running -= 1

    restored = asyncio.Event()
    await shaky.subscribe(durable(fresh("q"), topic), {Noted: handle}, on_restored=restored.set)
    await steady.publish(Noted(topic=topic))
    await wait_until(lambda: calls == [1], description="the handler runs")
    proxy.cut()
    await asyncio.wait_for(restored.wait(), 10)
    assert await answers(shaky)
    gate.set()
    await wait_until(lambda: calls == [1, 1], description="then the redelivery, alone")


async def test_a_transient_queue_is_made_again_and_its_reader_is_told_before_it_reads(
    steady: Bus, shaky: Bus, proxy: Proxy
) -> None:
    topic, events = fresh("a"), list[str]()

    async def handle(note: Noted) -> None:
        events.append(str(note.number))

    await shaky.subscribe(
        transient(fresh("q"), topic), {Noted: handle}, on_restored=lambda: events.append("restored")
    )
    await steady.publish(Noted(topic=topic, number=1))
    await wait_until(lambda: events == ["1"], description="the first")
    proxy.cut()

    async def seen_after_the_cut() -> bool:
        await steady.publish(Noted(topic=topic, number=2))
        return "2" in events

    await wait_until(seen_after_the_cut, description="fed again")
    assert events[:3] == ["1", "restored", "2"]


async def test_an_on_restored_that_fails_does_not_silence_its_queue(
    steady: Bus, shaky: Bus, proxy: Proxy
) -> None:
    topic, notes = fresh("a"), Notes()

    def fail() -> None:
        raise ValueError("not my day")

    await shaky.subscribe(durable(fresh("q"), topic), {Noted: notes}, on_restored=fail)
    proxy.cut()
    await steady.publish(Noted(topic=topic, number=1))
    await wait_until(lambda: notes.has(1), description="fed again")


async def test_a_standby_takes_over_when_the_active_consumer_loses_its_connection(
    steady: Bus, shaky: Bus, proxy: Proxy
) -> None:
    topic, queue, leader, standby = fresh("a"), fresh("q"), Notes(), Notes()
    await shaky.subscribe(durable(queue, topic, single_active=True), {Noted: leader})
    await steady.subscribe(durable(queue, topic, single_active=True), {Noted: standby})
    await steady.publish(Noted(topic=topic, number=1))
    await wait_until(lambda: leader.has(1), description="the leader is fed")
    assert not standby.got
    proxy.refuse()
    await steady.publish(Noted(topic=topic, number=2))
    await wait_until(lambda: standby.has(2), description="the standby is fed")
    proxy.resume()
    await wait_until(lambda: answers(shaky), description="the old leader is back")
    await steady.publish(Noted(topic=topic, number=3))
    await wait_until(lambda: standby.has(3), description="and stands by now")
    assert not leader.has(3)


async def test_a_consumer_whose_queue_was_deleted_makes_it_again(rabbit_url: str, steady: Bus) -> None:
    topic, queue, notes, restored = fresh("a"), fresh("q"), Notes(), asyncio.Event()
    await steady.subscribe(durable(queue, topic), {Noted: notes}, on_restored=restored.set)
    async with await aio_pika.connect(rabbit_url) as operator:
        await (await operator.channel()).queue_delete(queue)
    await asyncio.wait_for(restored.wait(), 10)
    await steady.publish(Noted(topic=topic, number=1), mandatory=True)
    await wait_until(lambda: notes.has(1), description="fed again")


async def test_a_queue_that_exists_otherwise_is_reported_and_does_not_disturb_the_rest(
    rabbit_url: str, steady: Bus
) -> None:
    queue, topic, notes = fresh("q"), fresh("a"), Notes()
    async with await aio_pika.connect(rabbit_url) as operator:
        channel = await operator.channel()
        await channel.declare_queue(queue, durable=True)
        await steady.subscribe(durable(queue, topic), {Noted: Notes()})
        with pytest.raises(Unavailable, match=queue):
            await steady.ping()
        await steady.subscribe(durable(fresh("q"), topic), {Noted: notes})
        await steady.publish(Noted(topic=topic, number=1))
        await wait_until(lambda: notes.has(1), description="the other subscription is fed")
        await channel.queue_delete(queue)
    await wait_until(lambda: answers(steady), description="live once the obstacle is gone")


async def test_services_may_start_before_the_broker(
    rabbit_url: str, proxy: Proxy, stack: AsyncExitStack
) -> None:
    proxy.refuse()
    early = await stack.enter_async_context(open_bus(bus_settings(proxy.url(rabbit_url)), name="early"))
    topic, notes, restored = fresh("a"), Notes(), list[int]()
    subscribed = await early.subscribe(
        durable(fresh("q"), topic), {Noted: notes}, on_restored=lambda: restored.append(1)
    )
    other = fresh("b")
    await subscribed.bind(Exchange.EVENTS, other)
    publishing = [
        asyncio.create_task(early.publish(Noted(topic=name, number=n)))
        for n, name in enumerate((topic, other))
    ]
    assert not await answers_soon(early)
    proxy.resume()
    await asyncio.gather(*publishing)
    await wait_until(lambda: notes.has(0, 1), description="live when the broker comes")
    assert restored == [1]


async def answers_soon(bus: Bus) -> bool:
    try:
        async with asyncio.timeout(0.3):
            await bus.ping()
    except (Unavailable, TimeoutError):
        return False
    return True


async def test_a_broker_that_hangs_up_in_the_handshake_is_called_again(stack: AsyncExitStack) -> None:
    calls = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    await stack.enter_async_context(server)
    host, port = server.sockets[0].getsockname()
    await stack.enter_async_context(open_bus(bus_settings(f"amqp://{host}:{port}/"), name="again"))
    await wait_until(lambda: calls >= 3, description="it calls again and again")


async def test_an_error_that_nobody_thought_of_ends_no_connecting(
    rabbit_url: str, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, tries = Session.open, 0

    async def open_badly(*args: Any, **more: Any) -> Session:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("out of the blue")
        return await opened(*args, **more)

    monkeypatch.setattr(Session, "open", open_badly)
    bus = await stack.enter_async_context(open_bus(bus_settings(rabbit_url), name="surprised"))
    await wait_until(lambda: answers(bus), description="live all the same")


async def test_without_a_broker_a_publisher_is_told_at_its_deadline(
    rabbit_url: str, proxy: Proxy, stack: AsyncExitStack
) -> None:
    proxy.refuse()
    bus = await stack.enter_async_context(open_bus(bus_settings(proxy.url(rabbit_url)), name="alone"))
    for message in (Noted(topic=fresh("a")), Glimpsed(topic=fresh("a"))):
        with pytest.raises(Unavailable):
            await bus.publish(message, deadline=timedelta(seconds=0.2))
    with pytest.raises(Unavailable):
        await bus.request(Add(to=fresh("s")), deadline=timedelta(seconds=0.2))


async def test_a_caller_whose_connection_is_cut_is_told_at_once(
    steady: Bus, shaky: Bus, proxy: Proxy
) -> None:
    service, started, gate = fresh("s"), asyncio.Event(), asyncio.Event()

    async def wait(_: Add) -> Sum:
        started.set()
        await gate.wait()
        return Sum(total=0)

    await steady.serve(service, {Add: wait})
    asking = asyncio.create_task(shaky.request(Add(to=service), deadline=timedelta(seconds=60)))
    await asyncio.wait_for(started.wait(), 10)
    proxy.cut()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(asking, 10)
    gate.set()


async def test_a_half_open_connection_is_noticed_and_replaced(
    rabbit_url: str, steady: Bus, proxy: Proxy, stack: AsyncExitStack
) -> None:
    settings = bus_settings(proxy.url(rabbit_url), heartbeat_seconds=1)
    bus = await stack.enter_async_context(open_bus(settings, name="half-open"))
    topic, notes, restored = fresh("a"), Notes(), asyncio.Event()
    await bus.subscribe(durable(fresh("q"), topic), {Noted: notes})
    await bus.subscribe(transient(fresh("q"), topic), {Noted: Notes()}, on_restored=restored.set)
    await bus.ping()
    proxy.pause()
    with pytest.raises(Unavailable):
        await bus.ping()
    publishing = asyncio.create_task(
        bus.publish(Noted(topic=topic, number=1), deadline=timedelta(seconds=60))
    )
    await wait_until(lambda: proxy.connections > 1, description="it tries a new connection", seconds=30)
    proxy.cut()
    proxy.resume()
    await asyncio.wait_for(restored.wait(), 30)
    await publishing
    await wait_until(lambda: notes.has(1), description="published and consumed on the new connection")


async def test_a_message_that_kills_its_handlers_processes_is_given_up_by_the_broker(
    rabbit_url: str, steady: Bus
) -> None:
    topic, queue, notes = fresh("a"), fresh("q"), Notes()
    first = await steady.subscribe(durable(queue, topic, max_deliveries=1), {Noted: notes})
    await first.cancel()
    await steady.publish(Noted(topic=topic, number=1, text="poison"))
    await steady.publish(Noted(topic=topic, number=2))
    for _ in range(CRASHES_ALLOWED + 2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.contract.poisoned", rabbit_url, queue, topic
        )
        assert await asyncio.wait_for(process.wait(), 30) == 9
    await steady.subscribe(durable(queue, topic, max_deliveries=1), {Noted: notes})
    await wait_until(lambda: notes.has(2), description="what came after the poison is handled")
    letters = await list_dead(bus_settings(rabbit_url), f"{queue}.dead")
    assert [(each.reason, each.queue, each.schema) for each in letters] == [
        (BROKER_GAVE_UP, queue, "test.noted")
    ]


async def test_dead_letters_can_be_sent_back_when_their_cause_is_mended(rabbit_url: str, steady: Bus) -> None:
    topic, queue, mended, notes, settings = fresh("a"), fresh("q"), False, Notes(), bus_settings(rabbit_url)

    async def handle(note: Noted) -> None:
        if not mended:
            raise ValueError("broken")
        await notes(note)

    async def dead() -> list[int]:
        letters = await list_dead(settings, f"{queue}.dead")
        return [Noted.model_validate_json(each.body).number for each in letters]

    async def both_dead() -> bool:
        return await dead() == [1, 2]

    await steady.subscribe(durable(queue, topic, max_deliveries=1), {Noted: handle})
    for number in (1, 2):
        await steady.publish(Noted(topic=topic, number=number))
    await wait_until(both_dead, description="two dead letters")
    mended = True

    def the_second(letter: object) -> bool:
        return getattr(letter, "body", b"") == Noted(topic=topic, number=2).model_dump_json().encode()

    assert await replay_dead(settings, f"{queue}.dead", chosen=the_second) == 1
    await wait_until(lambda: notes.has(2), description="the chosen one is handled")
    assert await dead() == [1]
    assert await replay_dead(settings, f"{queue}.dead") == 1
    await wait_until(lambda: notes.has(1), description="the other one, too")
    assert await dead() == []


async def test_an_operator_lists_and_replays_dead_letters_by_command(rabbit_url: str, steady: Bus) -> None:
    topic, queue, mended, notes = fresh("a"), fresh("q"), False, Notes()

    async def handle(note: Noted) -> None:
        if not mended:
            raise ValueError("broken")
        await notes(note)

    async def command(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "qrt_chassis", *words),
            env=os.environ | {"QRT_BUS_URL": rabbit_url},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0
        return output.decode()

    async def both_dead() -> bool:
        return len((await command("list", f"{queue}.dead")).splitlines()) == 2

    await steady.subscribe(durable(queue, topic, max_deliveries=1), {Noted: handle})
    for number in (1, 2):
        await steady.publish(Noted(topic=topic, number=number))
    await wait_until(both_dead, description="two dead letters", seconds=60)
    letters = [json.loads(line) for line in (await command("list", f"{queue}.dead")).splitlines()]
    assert {(each["reason"], each["error"]) for each in letters} == {("failed", "ValueError: broken")}
    mended = True
    assert await command("replay", f"{queue}.dead", "--message", letters[1]["message_id"]) == "1 sent back\n"
    await wait_until(lambda: notes.has(2), description="the chosen one is handled")
    assert await command("replay", f"{queue}.dead") == "1 sent back\n"
    await wait_until(lambda: notes.has(1), description="the other one, too")
    assert await command("list", f"{queue}.dead") == ""
