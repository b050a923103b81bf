"""What every message on the bus has in common.

A message names its own schema, version and address, so that a transport needs to know nothing
about jobs and a reader can refuse what it does not understand. Event readers ignore unknown
fields; a changed meaning is a new `schema_version`.
"""

from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from typing_extensions import override


class Exchange(StrEnum):
    """The kinds of traffic; one topic exchange each."""

    COMMANDS = "qrt.commands"
    EVENTS = "qrt.events"
    WORK = "qrt.work"


class Value(BaseModel):
    """A frozen value type that crosses the bus; readers ignore fields they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Message(Value):
    """Something published to an exchange under a routing key."""

    schema_name: ClassVar[str]
    schema_version: ClassVar[int] = 1
    exchange: ClassVar[Exchange]
    must_arrive: ClassVar[bool] = True
    """Persistent and confirmed. False for facts that the next one of their kind replaces."""
    expires_seconds: ClassVar[float | None] = None
    """How long an unread message keeps its worth; None is for ever."""

    def routing_key(self) -> str:
        """Return the topic this message is published under."""
        raise NotImplementedError


Reply = TypeVar("Reply", bound=Value)


class Command(Message, Generic[Reply]):
    """A request to one owner that answers with a `Reply` or a fault. May fail, may be repeated."""

    exchange: ClassVar[Exchange] = Exchange.COMMANDS
    must_arrive: ClassVar[bool] = False  # its caller waits, and asks again if it wishes
    service: ClassVar[str]
    reply_type: ClassVar[type[Value]]

    @override
    def routing_key(self) -> str:
        """Return the queue of the service that answers this command."""
        return f"{self.service}.commands"


class Done(Value):
    """The reply of a command that has nothing to tell but that it was carried out."""
