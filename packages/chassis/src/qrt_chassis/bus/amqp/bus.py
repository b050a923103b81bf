"""The bus on RabbitMQ."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from qrt_chassis.bus.port import CommandHandlers, Handlers, Subscribed, Subscription
from qrt_chassis.settings import BusSettings
from qrt_contracts.message import Command, Message, Value

R = TypeVar("R", bound=Value)


class AmqpBus:
    """The bus on RabbitMQ. See `port.Bus` for what its methods promise."""

    def __init__(self, settings: BusSettings, *, name: str) -> None:
        self._settings = settings
        self._name = name

    def start(self) -> None:
        """Begin to connect, in the background."""
        raise NotImplementedError

    async def publish(
        self, message: Message, *, mandatory: bool = False, deadline: timedelta = timedelta(seconds=30)
    ) -> None:
        """Hand a message to the broker."""
        raise NotImplementedError

    async def request(self, command: Command[R], *, deadline: timedelta = timedelta(seconds=10)) -> R:
        """Send a command and wait for its answer."""
        raise NotImplementedError

    async def serve(self, service: str, handlers: CommandHandlers, *, concurrency: int = 64) -> Subscribed:
        """Answer the commands sent to `service`."""
        raise NotImplementedError

    async def subscribe(
        self,
        subscription: Subscription,
        handlers: Handlers,
        *,
        on_restored: Callable[[], None] | None = None,
    ) -> Subscribed:
        """Receive messages."""
        raise NotImplementedError

    async def ping(self) -> None:
        """Send a message to ourselves."""
        raise NotImplementedError

    async def close(self) -> None:
        """Cancel all subscriptions, then disconnect."""
        raise NotImplementedError
