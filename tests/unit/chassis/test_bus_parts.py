"""The parts of the bus that need no transport."""

import asyncio
from datetime import timedelta

import pytest

from qrt_chassis.bus import memory_queue
from qrt_chassis.bus.amqp import AmqpBus
from qrt_chassis.bus.amqp.driver import ConnectionLost, NoQueue, Refused, driver_errors
from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.open import open_bus
from qrt_chassis.bus.port import Subscription, Undeliverable
from qrt_chassis.bus.wire import matches
from qrt_chassis.settings import BusSettings, SettingsError
from qrt_chassis.tasks import Tasks
from qrt_contracts.faults import Unavailable
from qrt_contracts.message import Exchange
from tests.contract.messages import Noted
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("job.1.state", "job.1.state", True),
        ("job.*.state", "job.1.state", True),
        ("job.*", "job.1.state", False),
        ("job.*.state", "job.state", False),
        ("job.#", "job.1.state", True),
        ("job.#", "job", True),
        ("#", "anything.at.all", True),
        ("#.state", "job.1.state", True),
        ("job.#.state", "job.state", True),
        ("*.#.*", "a", False),
        ("job.1.state", "job.2.state", False),
    ],
)
def test_topic_patterns(pattern: str, key: str, *, expected: bool) -> None:
    assert matches(pattern, key) is expected


async def test_a_full_durable_queue_holds_its_publishers_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_queue, "CAPACITY_BYTES", 100)
    bus, gate, got = MemoryBus(), asyncio.Event(), list[int]()

    async def handle(note: Noted) -> None:
        await gate.wait()
        got.append(note.number)

    await bus.subscribe(Subscription(queue="q", bindings=((Exchange.EVENTS, "t"),)), {Noted: handle})
    await bus.publish(Noted(topic="t", number=0))
    await asyncio.sleep(0)
    await bus.publish(Noted(topic="t", number=1, text="x" * 200))
    with pytest.raises(Unavailable):
        await bus.publish(Noted(topic="t", number=2), deadline=timedelta(seconds=0.05))
    waiting = asyncio.create_task(bus.publish(Noted(topic="t", number=3)))
    gate.set()
    await waiting
    await wait_until(lambda: got == [0, 1, 3], description="what was taken is handled")
    await bus.close()


async def test_a_backlog_does_not_keep_the_loop_to_itself() -> None:
    bus, handled = MemoryBus(), 0

    async def handle(_: Noted) -> None:
        nonlocal handled
        handled += 1

    queue = Subscription(queue="q", bindings=((Exchange.EVENTS, "t"),))
    await (await bus.subscribe(queue, {Noted: handle})).cancel()
    for number in range(100):
        await bus.publish(Noted(topic="t", number=number))
    await bus.subscribe(queue, {Noted: handle})
    for _ in range(20):
        await asyncio.sleep(0)
    assert 0 < handled < 100
    await bus.close()


async def test_the_url_chooses_the_transport() -> None:
    async with open_bus(BusSettings.model_validate({"url": "memory://"}), name="x") as bus:
        assert isinstance(bus, MemoryBus)
    with pytest.raises(SettingsError, match="kafka"):
        async with open_bus(BusSettings.model_validate({"url": "kafka://"}), name="x"):
            pass


async def test_a_background_task_that_dies_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def die() -> None:
        raise ValueError("unexpected")

    tasks = Tasks("owner")
    task = tasks.start(die(), name="one")
    await asyncio.wait([task])
    await wait_until(lambda: "unexpected" in caplog.text, description="the death is logged")
    await tasks.close()


async def test_no_background_task_outlives_its_owner() -> None:
    tasks = Tasks("owner")
    task = tasks.start(asyncio.sleep(3600), name="long")
    await tasks.close()
    assert task.cancelled()


class _Failing:
    """A session whose publishes fail one after the other as it is told."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def restored(self) -> "_Failing":
        return self

    async def publish(self, *_: object) -> None:
        raise self._errors.pop(0)


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ((NoQueue("gone"),), Undeliverable),
        ((ConnectionLost("cut"), NoQueue("gone")), Unavailable),
        ((Refused("full"), NoQueue("gone")), Undeliverable),
    ],
)
async def test_undeliverable_is_said_only_of_what_certainly_reached_nobody(
    errors: tuple[Exception, ...], told: type[Exception]
) -> None:
    bus = AmqpBus(BusSettings(), name="test")
    bus._sessions = _Failing(*errors)  # type: ignore[assignment]
    with pytest.raises(told):
        await bus.publish(Noted(topic="a", number=1), mandatory=True)


def test_a_broker_that_hangs_up_in_the_handshake_is_a_lost_connection() -> None:
    with pytest.raises(ConnectionLost), driver_errors():
        raise StopAsyncIteration  # as aiormq does when it finds the stream at its end
