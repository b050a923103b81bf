"""Choose a transport by its URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from qrt_chassis.bus.amqp import AmqpBus
from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.port import Bus
from qrt_chassis.settings import BusSettings, SettingsError


@asynccontextmanager
async def open_bus(settings: BusSettings, *, name: str) -> AsyncIterator[Bus]:
    """Open the bus that `settings.url` names, and close it on leaving.

    It need not be reachable yet: publishers wait for it within their deadlines, subscriptions go
    live when it comes. `name` is what the broker shows for this connection.

    Raises:
        SettingsError: the URL is neither `amqp://`, `amqps://` nor `memory://`.
    """
    scheme = urlsplit(settings.url.get_secret_value()).scheme
    bus: AmqpBus | MemoryBus
    if scheme == "memory":
        bus = MemoryBus()
    elif scheme in ("amqp", "amqps"):
        bus = AmqpBus(settings, name=name)
        bus.start()
    else:
        raise SettingsError(f"the bus URL begins with {scheme!r}; give amqp://, amqps:// or memory://")
    try:
        yield bus
    finally:
        await bus.close()
