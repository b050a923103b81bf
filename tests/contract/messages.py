"""Messages of no meaning, for tests of the bus."""

from typing import ClassVar

from typing_extensions import override

from qrt_contracts.message import Command, Exchange, Message, Value


class Noted(Message):
    """A fact that must arrive."""

    schema_name: ClassVar[str] = "test.noted"
    exchange: ClassVar[Exchange] = Exchange.EVENTS
    topic: str
    number: int = 0
    text: str = ""

    @override
    def routing_key(self) -> str:
        return self.topic


class Glimpsed(Noted):
    """A fact that the next one replaces."""

    schema_name: ClassVar[str] = "test.glimpsed"
    must_arrive: ClassVar[bool] = False
    expires_seconds: ClassVar[float | None] = 0.2


class NotedAnew(Noted):
    """The same schema in a version that nobody reads yet."""

    schema_version: ClassVar[int] = 2


class NotedBadly(Message):
    """Has the name of `Noted` and a body that is not valid for it."""

    schema_name: ClassVar[str] = "test.noted"
    exchange: ClassVar[Exchange] = Exchange.EVENTS
    topic: str
    number: str = "hunter2"

    @override
    def routing_key(self) -> str:
        return self.topic


class Sum(Value):
    """A reply."""

    total: int


class Add(Command[Sum]):
    """A command to a service that the test names, so that no two tests share one."""

    schema_name: ClassVar[str] = "test.add"
    service: ClassVar[str] = "adder"
    reply_type: ClassVar[type[Value]] = Sum
    to: str
    left: int = 0
    right: int = 0

    @override
    def routing_key(self) -> str:
        return f"{self.to}.commands"


class AddAnew(Add):
    """The command in a version that nobody reads yet."""

    schema_version: ClassVar[int] = 2
