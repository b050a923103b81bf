"""The two transports, as the contract suite sees them."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pydantic import SecretStr

from qrt_chassis.bus.amqp.dead import list_dead
from qrt_chassis.bus.letters import DeadLetter
from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.open import open_bus
from qrt_chassis.bus.port import Bus
from qrt_chassis.settings import BusSettings
from qrt_contracts.ids import new_id


@dataclass(frozen=True, slots=True)
class Transport:
    """One transport. `open` gives what another process would use to reach the same messages."""

    kind: str
    open: Callable[[], Awaitable[Bus]]
    dead_letters: Callable[[str], Awaitable[list[DeadLetter]]]


def memory(stack: AsyncExitStack) -> Transport:
    """Return the in-process transport: everybody shares the one bus."""
    bus = MemoryBus()
    stack.push_async_callback(bus.close)

    async def the_bus() -> Bus:
        return bus

    async def dead_letters(queue: str) -> list[DeadLetter]:
        return await bus.read_dead(queue, limit=100)

    return Transport("memory", the_bus, dead_letters)


def bus_settings(url: str, *, heartbeat_seconds: int = 10) -> BusSettings:
    """Return settings for the broker at `url`."""
    return BusSettings(url=SecretStr(url), heartbeat_seconds=heartbeat_seconds)


def amqp(stack: AsyncExitStack, url: str) -> Transport:
    """Return RabbitMQ: everybody has a connection."""
    settings = bus_settings(url)

    async def another() -> Bus:
        bus = await stack.enter_async_context(open_bus(settings, name="test"))
        await bus.ping()
        return bus

    async def dead_letters(queue: str) -> list[DeadLetter]:
        return await list_dead(settings, queue)

    return Transport("amqp", another, dead_letters)


def fresh(word: str) -> str:
    """Return a name that no other test uses."""
    return f"{word}-{new_id()[-12:]}"
