"""What both transports of the bus promise: publish and subscribe."""

import asyncio
from datetime import timedelta

import pytest

from qrt_chassis.bus.letters import TRANSIENT_DEAD
from qrt_chassis.bus.port import AtOnce, Bus, Subscription, Undeliverable
from qrt_chassis.logging import bind, bound
from qrt_contracts.faults import Unavailable
from qrt_contracts.message import Exchange
from tests.contract.messages import Glimpsed, Noted, NotedAnew, NotedBadly
from tests.contract.transports import Transport, fresh
from tests.support.waiting import wait_until


class Notes:
    """Remembers what a handler got."""

    def __init__(self) -> None:
        self.got: list[Noted] = []

    async def __call__(self, note: Noted) -> None:
        self.got.append(note)

    @property
    def numbers(self) -> list[int]:
        return [note.number for note in self.got]


def durable(queue: str, pattern: str, **more: object) -> Subscription:
    return Subscription(queue=queue, bindings=((Exchange.EVENTS, pattern),), **more)  # type: ignore[arg-type]


def transient(queue: str, *patterns: str, max_length: int | None = None) -> Subscription:
    bindings = tuple((Exchange.EVENTS, pattern) for pattern in patterns)
    return Subscription(queue=queue, bindings=bindings, durable=False, max_length=max_length)


async def arrived(notes: Notes, *numbers: int) -> None:
    await wait_until(lambda: notes.numbers == list(numbers), description=f"{numbers}, got {notes.numbers}")


async def test_a_message_arrives_as_it_was_sent(bus: Bus) -> None:
    topic, notes = fresh("a"), Notes()
    await bus.subscribe(durable(fresh("q"), topic), {Noted: notes})
    sent = Noted(topic=topic, number=7, text="ψ\x00\n")
    await bus.publish(sent)
    await wait_until(lambda: notes.got == [sent], description="the same message")


async def test_the_order_of_a_queue_is_kept(bus: Bus) -> None:
    topic, notes = fresh("a"), Notes()
    await bus.subscribe(durable(fresh("q"), topic), {Noted: notes})
    await asyncio.gather(*(bus.publish(Noted(topic=topic, number=n)) for n in range(300)))
    await arrived(notes, *range(300))


@pytest.mark.parametrize("key", ["job.{}.state", "job.{}.output.more", "job.{}"])
async def test_a_topic_pattern_takes_what_it_says(bus: Bus, key: str) -> None:
    name, star, hash_, exact = fresh("j"), Notes(), Notes(), Notes()
    await bus.subscribe(transient(fresh("q"), f"job.{name}.*"), {Noted: star})
    await bus.subscribe(transient(fresh("q"), f"job.{name}.#"), {Noted: hash_})
    await bus.subscribe(transient(fresh("q"), f"job.{name}.state"), {Noted: exact})
    await bus.publish(Noted(topic=key.format(name), number=1))
    await bus.publish(Noted(topic=f"job.{name}.state", number=2))
    await wait_until(lambda: exact.numbers[-1:] == [2], description="the exact pattern takes the last")
    await wait_until(lambda: star.numbers[-1:] == [2], description="the star takes the last")
    await arrived(hash_, 1, 2)
    assert (1 in star.numbers) == (1 in exact.numbers) == (key == "job.{}.state")


async def test_every_queue_gets_a_copy_and_two_bindings_bring_one(bus: Bus) -> None:
    topic, left, right = fresh("a"), Notes(), Notes()
    await bus.subscribe(transient(fresh("q"), topic, "#." + topic), {Noted: left})
    await bus.subscribe(durable(fresh("q"), topic), {Noted: right})
    for number in (1, 2):
        await bus.publish(Noted(topic=topic, number=number))
    await arrived(left, 1, 2)
    await arrived(right, 1, 2)


async def test_consumers_of_one_queue_compete(transport: Transport) -> None:
    topic, queue = fresh("a"), fresh("q")
    one, two = Notes(), Notes()
    for notes in (one, two):
        bus = await transport.open()
        await bus.subscribe(durable(queue, topic, prefetch=1), {Noted: notes})
    for number in range(50):
        await bus.publish(Noted(topic=topic, number=number))
    await wait_until(lambda: len(one.got) + len(two.got) == 50, description="all 50, once each")
    assert sorted(one.numbers + two.numbers) == list(range(50))
    assert one.got
    assert two.got


async def test_as_many_handlers_run_at_once_as_allowed_and_no_more(bus: Bus) -> None:
    topic, running, most, gate = fresh("a"), 0, 0, asyncio.Event()

    async def handle(_: Noted) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    await bus.subscribe(durable(fresh("q"), topic, concurrency=3), {Noted: handle})
    for number in range(9):
        await bus.publish(Noted(topic=topic, number=number))
    await wait_until(lambda: running == 3, description="three at once")
    gate.set()
    await wait_until(lambda: running == 0, description="all done")
    assert most == 3


async def test_a_durable_queue_keeps_what_comes_while_nobody_reads(transport: Transport) -> None:
    topic, queue, notes = fresh("a"), fresh("q"), Notes()
    bus = await transport.open()
    subscribed = await bus.subscribe(durable(queue, topic), {Noted: Notes()})
    await subscribed.cancel()
    for number in range(3):
        await bus.publish(Noted(topic=topic, number=number), mandatory=True)
    later = await transport.open()
    await later.subscribe(durable(queue, topic), {Noted: notes})
    await arrived(notes, 0, 1, 2)


async def test_a_transient_queue_goes_with_its_subscription(bus: Bus) -> None:
    topic = fresh("a")
    subscribed = await bus.subscribe(transient(fresh("q"), topic), {Noted: Notes()})
    await bus.publish(Noted(topic=topic), mandatory=True)
    await subscribed.cancel()
    with pytest.raises(Undeliverable):
        await bus.publish(Noted(topic=topic), mandatory=True)


async def test_a_full_transient_queue_drops_its_oldest(bus: Bus) -> None:
    topic, notes, busy, gate = fresh("a"), Notes(), asyncio.Event(), asyncio.Event()

    async def handle(note: Noted) -> None:
        busy.set()
        await gate.wait()
        await notes(note)

    queue = Subscription(
        queue=fresh("q"), bindings=((Exchange.EVENTS, topic),), durable=False, max_length=3, prefetch=1
    )
    await bus.subscribe(queue, {Noted: handle})
    await bus.publish(Noted(topic=topic, number=0))
    await asyncio.wait_for(busy.wait(), 10)
    for number in range(1, 11):
        await bus.publish(Noted(topic=topic, number=number))
    gate.set()
    await arrived(notes, 0, 8, 9, 10)


async def test_a_mandatory_message_without_a_queue_is_undeliverable(bus: Bus) -> None:
    with pytest.raises(Undeliverable):
        await bus.publish(Noted(topic=fresh("nobody")), mandatory=True)


async def test_a_message_nobody_wants_is_no_error(bus: Bus) -> None:
    await bus.publish(Noted(topic=fresh("nobody")))
    await bus.publish(Glimpsed(topic=fresh("nobody")))


async def test_binding_and_unbinding_while_live(bus: Bus) -> None:
    first, second, notes = fresh("a"), fresh("b"), Notes()
    subscribed = await bus.subscribe(transient(fresh("q"), first), {Noted: notes})
    await subscribed.bind(Exchange.EVENTS, second)
    await subscribed.bind(Exchange.EVENTS, second)
    await bus.publish(Noted(topic=second, number=1))
    await subscribed.unbind(Exchange.EVENTS, second)
    await bus.publish(Noted(topic=second, number=2))
    await bus.publish(Noted(topic=first, number=3))
    await arrived(notes, 1, 3)


async def test_a_message_whose_handler_failed_is_delivered_again_in_its_place(bus: Bus) -> None:
    topic, seen = fresh("a"), list[int]()

    async def fail_at_first(note: Noted) -> None:
        seen.append(note.number)
        if seen.count(note.number) == 1:
            raise ValueError("not yet")

    await bus.subscribe(durable(fresh("q"), topic), {Noted: fail_at_first})
    for number in (1, 2):
        await bus.publish(Noted(topic=topic, number=number))
    await wait_until(lambda: seen == [1, 1, 2, 2], description=f"each twice, in order: {seen}")


@pytest.mark.parametrize("kept", [True, False])
async def test_a_handler_that_never_waits_gets_all_in_order_and_again_what_it_failed_at(
    bus: Bus, *, kept: bool
) -> None:
    topic, queue, got = fresh("a"), fresh("q"), list[int]()
    fails = [ValueError("once"), ValueError("twice"), ValueError("three times")]

    def handle(note: Noted) -> None:
        if note.number == 3 and fails:
            raise fails.pop()
        got.append(note.number)

    await bus.subscribe(durable(queue, topic) if kept else transient(queue, topic), {Noted: AtOnce(handle)})
    for number in range(5):
        await bus.publish(Noted(topic=topic, number=number))
    await asyncio.gather(*(bus.publish(Noted(topic=topic, number=number)) for number in range(5, 50)))
    await wait_until(lambda: got == list(range(50)), description="all, in order")
    assert not fails


async def test_a_message_that_always_fails_becomes_a_dead_letter_with_its_reason(
    transport: Transport,
) -> None:
    bus = await transport.open()
    topic, queue, tries, notes = fresh("a"), fresh("q"), 0, Notes()

    async def handle(note: Noted) -> None:
        nonlocal tries
        if note.number == 13:
            tries += 1
            raise ValueError("thirteen is not handled here")
        await notes(note)

    await bus.subscribe(durable(queue, topic, max_deliveries=3), {Noted: handle})
    for number in (1, 13, 2):
        await bus.publish(Noted(topic=topic, number=number))
    await arrived(notes, 1, 2)
    letters = await transport.dead_letters(f"{queue}.dead")
    assert tries == 3
    assert [(each.reason, each.queue, each.schema) for each in letters] == [("failed", queue, "test.noted")]
    assert letters[0].error == "ValueError: thirteen is not handled here"
    assert letters[0].first_seen is not None
    assert Noted.model_validate_json(letters[0].body).number == 13


@pytest.mark.parametrize(
    ("strange", "reason"),
    [(NotedBadly, "invalid"), (NotedAnew, "unknown schema"), (Glimpsed, "unknown schema")],
)
async def test_a_message_that_cannot_be_read_becomes_a_dead_letter_at_once(
    transport: Transport, strange: type[Noted], reason: str
) -> None:
    bus = await transport.open()
    topic, queue, notes = fresh("a"), fresh("q"), Notes()
    await bus.subscribe(durable(queue, topic), {Noted: notes})
    await bus.publish(strange(topic=topic))
    await bus.publish(Noted(topic=topic, number=1))
    await arrived(notes, 1)
    letters = await transport.dead_letters(f"{queue}.dead")
    assert [each.reason for each in letters] == [reason]
    assert "hunter2" not in letters[0].error


async def test_dead_letters_are_counted_read_and_sent_back_one_by_one(transport: Transport) -> None:
    bus = await transport.open()
    topic, queue, notes, mended = fresh("a"), fresh("q"), Notes(), False

    async def handle(note: Noted) -> None:
        if not mended:
            raise ValueError("not yet")
        await notes(note)

    await bus.subscribe(durable(queue, topic, max_deliveries=1), {Noted: handle})
    dead, none = f"{queue}.dead", f"{fresh('q')}.dead"
    for number in (1, 2, 3):
        await bus.publish(Noted(topic=topic, number=number))

    async def all_dead() -> bool:
        return await bus.count_dead([none, dead]) == {none: 0, dead: 3}

    await wait_until(all_dead, description="three dead letters")
    letters = await bus.read_dead(dead, limit=2)
    assert [Noted.model_validate_json(each.body).number for each in letters] == [1, 2]
    assert all(each.died_at is not None and each.queue == queue for each in letters)
    assert await bus.read_dead(none, limit=10) == []
    assert await bus.replay_dead(none, message_id=None, limit=10) == 0
    assert await bus.replay_dead(dead, message_id="another", limit=10) == 0
    mended = True
    assert await bus.replay_dead(dead, message_id=letters[1].message_id, limit=10) == 1
    await arrived(notes, 2)
    assert await bus.replay_dead(dead, message_id=None, limit=1) == 1
    await arrived(notes, 2, 1)
    assert (await bus.count_dead([dead]))[dead] == 1


async def test_dead_letters_of_transient_queues_are_kept_together(transport: Transport) -> None:
    bus = await transport.open()
    topic, queue, notes = fresh("a"), fresh("q"), Notes()
    await bus.subscribe(transient(queue, topic), {Noted: notes})
    await bus.publish(NotedBadly(topic=topic))
    await bus.publish(Noted(topic=topic, number=1))
    await arrived(notes, 1)
    letters = await transport.dead_letters(TRANSIENT_DEAD)
    assert queue in [each.queue for each in letters]


async def test_a_passing_fault_is_retried_in_place_and_never_counted(bus: Bus) -> None:
    topic, tries, notes = fresh("a"), 0, Notes()

    async def handle(note: Noted) -> None:
        nonlocal tries
        if note.number == 1:
            tries += 1
            if tries <= 4:
                raise Unavailable("the store is away")
        await notes(note)

    await bus.subscribe(durable(fresh("q"), topic, max_deliveries=2), {Noted: handle})
    for number in (1, 2):
        await bus.publish(Noted(topic=topic, number=number))
    await arrived(notes, 1, 2)
    assert tries == 5


async def test_cancelling_waits_for_the_running_handler_and_leaves_the_rest(transport: Transport) -> None:
    bus = await transport.open()
    topic, queue, started, gate = fresh("a"), fresh("q"), asyncio.Event(), asyncio.Event()
    notes, rest = Notes(), Notes()

    async def handle(note: Noted) -> None:
        started.set()
        await gate.wait()
        await notes(note)

    subscribed = await bus.subscribe(durable(queue, topic), {Noted: handle})
    for number in range(5):
        await bus.publish(Noted(topic=topic, number=number))
    await asyncio.wait_for(started.wait(), 10)
    cancelling = asyncio.create_task(subscribed.cancel())
    await asyncio.sleep(0)
    assert not cancelling.done()
    gate.set()
    await asyncio.wait_for(cancelling, 10)
    assert notes.numbers == [0]
    await bus.subscribe(durable(queue, topic), {Noted: rest})
    await arrived(rest, 1, 2, 3, 4)


async def test_cancelling_does_not_wait_for_a_fault_to_pass(transport: Transport) -> None:
    bus = await transport.open()
    topic, queue, tried, notes = fresh("a"), fresh("q"), asyncio.Event(), Notes()

    async def handle(_: Noted) -> None:
        tried.set()
        raise Unavailable("the store is away")

    subscribed = await bus.subscribe(durable(queue, topic), {Noted: handle})
    await bus.publish(Noted(topic=topic, number=1))
    await asyncio.wait_for(tried.wait(), 10)
    await asyncio.wait_for(subscribed.cancel(), 10)
    await bus.subscribe(durable(queue, topic), {Noted: notes})
    await arrived(notes, 1)


async def test_a_subscription_can_be_cancelled_by_its_own_handler(bus: Bus) -> None:
    topic, done = fresh("a"), asyncio.Event()

    async def handle(_: Noted) -> None:
        await subscribed.cancel()
        done.set()

    subscribed = await bus.subscribe(durable(fresh("q"), topic), {Noted: handle})
    await bus.publish(Noted(topic=topic))
    await asyncio.wait_for(done.wait(), 10)


async def test_only_one_of_several_single_active_consumers_is_fed_until_it_leaves(
    transport: Transport,
) -> None:
    topic, queue = fresh("a"), fresh("q")
    first_bus, second_bus = await transport.open(), await transport.open()
    first, second = Notes(), Notes()
    leader = await first_bus.subscribe(durable(queue, topic, single_active=True), {Noted: first})
    await second_bus.subscribe(durable(queue, topic, single_active=True), {Noted: second})
    for number in range(20):
        await second_bus.publish(Noted(topic=topic, number=number))
    await arrived(first, *range(20))
    assert second.got == []
    await leader.cancel()
    await second_bus.publish(Noted(topic=topic, number=20))
    await arrived(second, 20)


async def test_what_expired_before_it_was_read_is_not_handled_and_not_a_dead_letter(
    transport: Transport,
) -> None:
    bus = await transport.open()
    topic, queue, notes = fresh("a"), fresh("q"), Notes()
    subscribed = await bus.subscribe(durable(queue, topic), {Noted: notes, Glimpsed: notes})
    await subscribed.cancel()
    await bus.publish(Glimpsed(topic=topic, number=1))
    await asyncio.sleep(2 * (Glimpsed.expires_seconds or 0))  # its lifetime is what is tested
    await bus.publish(Noted(topic=topic, number=2))
    await bus.subscribe(durable(queue, topic), {Noted: notes, Glimpsed: notes})
    await arrived(notes, 2)
    assert await transport.dead_letters(f"{queue}.dead") == []


async def test_the_request_id_of_the_sender_is_bound_in_the_handler(bus: Bus) -> None:
    topic, seen = fresh("a"), list[object]()

    async def handle(_: Noted) -> None:
        seen.append(bound("request_id"))

    await bus.subscribe(durable(fresh("q"), topic), {Noted: handle})
    with bind(request_id="r-1"):
        await bus.publish(Noted(topic=topic))
    await bus.publish(Noted(topic=topic))
    await wait_until(lambda: seen == ["r-1", None], description="the id, then none")


async def test_a_large_message_arrives(bus: Bus) -> None:
    topic, notes = fresh("a"), Notes()
    await bus.subscribe(durable(fresh("q"), topic), {Noted: notes})
    await bus.publish(Noted(topic=topic, number=1, text="x" * 3_000_000))
    await arrived(notes, 1)
    assert len(notes.got[0].text) == 3_000_000


async def test_a_closed_bus_takes_no_message_and_can_be_closed_again(transport: Transport) -> None:
    bus = await transport.open()
    await bus.ping()
    await bus.close()
    await bus.close()
    with pytest.raises(Unavailable):
        await bus.publish(Noted(topic=fresh("a")), deadline=timedelta(seconds=5))
    with pytest.raises(Unavailable):
        await bus.ping()


async def test_closing_lets_a_running_handler_publish_its_last_word(transport: Transport) -> None:
    topic, said, started, gate, notes = fresh("a"), fresh("b"), asyncio.Event(), asyncio.Event(), Notes()
    bus = await transport.open()
    last_words = fresh("q")
    listening = await bus.subscribe(durable(last_words, said), {Noted: Notes()})
    await listening.cancel()

    async def handle(_: Noted) -> None:
        started.set()
        await gate.wait()
        await bus.publish(Noted(topic=said, number=1), mandatory=True)
        await notes(Noted(topic=said, number=1))

    await bus.subscribe(durable(fresh("q"), topic), {Noted: handle})
    await bus.publish(Noted(topic=topic))
    await asyncio.wait_for(started.wait(), 10)
    closing = asyncio.create_task(bus.close())
    gate.set()
    await asyncio.wait_for(closing, 10)
    assert notes.numbers == [1]
