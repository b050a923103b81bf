"""What a service may ask of the bus, whichever transport carries it.

Delivery is at least once: a message is acknowledged after its handler has returned. What a
handler raises decides what becomes of the message:

* a passing fault (`is_passing`: the store or the bus is away) is tried again, here, with growing
  pauses, for as long as the bus lives; it counts as no failed delivery;
* anything else is redelivered, `max_deliveries` times in all; then the message goes to the dead
  letter queue `<queue>.dead` with the last error as its reason;
* a message that does not validate, or whose schema nobody here handles, goes there at once.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from qrt_chassis.bus.letters import TRANSIENT_DEAD, DeadLetter
from qrt_contracts.faults import RuntimeFault
from qrt_contracts.message import Command, Exchange, Message, Value

M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Value)

Handlers = Mapping[type[Any], Callable[[Any], Awaitable[None]]]
"""Message class -> what to do with one of it. Safe to call more than once with the same message."""


@dataclass(frozen=True, slots=True)
class AtOnce:
    """A handler that never waits. It may be called the moment a message is there, without a task's turn."""

    handle: Callable[[Any], None]

    async def __call__(self, message: Any) -> None:
        """Handle one message."""
        self.handle(message)


CommandHandlers = Mapping[type[Any], Callable[[Any], Awaitable[Value]]]
"""Command class -> what answers it. A `RuntimeFault` it raises is carried to the caller."""


class Undeliverable(RuntimeFault):
    """A mandatory message found no queue: its receiver is gone."""

    code = "Undeliverable"
    title = "No receiver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A queue and what it is bound to.

    Durable: a named quorum queue that outlives its consumers; consumers with the same name compete.
    Transient: exclusive to this bus connection, gone with it, made again when it comes back;
    whatever was published meanwhile is missed, and `on_restored` says so.
    """

    queue: str
    bindings: tuple[tuple[Exchange, str], ...] = ()
    """(exchange, topic pattern with `*` and `#`)."""
    durable: bool = True
    single_active: bool = False
    """Only one consumer of the queue is fed; the next one takes over when it goes away."""
    concurrency: int = 1
    """Handlers at once; 1 keeps the order of the queue."""
    prefetch: int = 64
    """Deliveries held unacknowledged here; the rest waits in the queue."""
    max_deliveries: int = 5
    max_length: int | None = None
    """Messages a transient queue holds; the oldest are dropped beyond it."""

    @property
    def dead_queue(self) -> str:
        """The name of the queue that takes its dead letters."""
        return f"{self.queue}.dead" if self.durable else TRANSIENT_DEAD


class Subscribed(Protocol):
    """A live subscription."""

    async def bind(self, exchange: Exchange, pattern: str) -> None:
        """Also receive what matches `pattern`; kept over reconnects. Repeating it is harmless."""

    async def unbind(self, exchange: Exchange, pattern: str) -> None:
        """Stop receiving what matches `pattern`."""

    async def cancel(self) -> None:
        """Take no new delivery, and wait for running handlers to finish."""


class Bus(Protocol):
    """Publish, subscribe, request, reply. One instance per process; its owner closes it."""

    async def publish(
        self, message: Message, *, mandatory: bool = False, deadline: timedelta = timedelta(seconds=30)
    ) -> None:
        """Hand a message to the broker; return once it has it (`must_arrive`: safely).

        Raises:
            Undeliverable: `mandatory`, and no queue takes it.
            Unavailable: the broker did not confirm within `deadline`; it may still have it.
        """

    async def request(self, command: Command[R], *, deadline: timedelta = timedelta(seconds=10)) -> R:
        """Send a command and return its reply.

        Raises:
            RuntimeFault: what the other side raised, as the same class.
            Unavailable: no reply within `deadline` (the command may still be carried out), or
                nobody serves it.
        """

    async def serve(self, service: str, handlers: CommandHandlers, *, concurrency: int = 64) -> Subscribed:
        """Answer commands sent to `service`; replicas compete. Expired commands are skipped."""

    async def subscribe(
        self,
        subscription: Subscription,
        handlers: Handlers,
        *,
        on_restored: Callable[[], None] | None = None,
    ) -> Subscribed:
        """Receive messages.

        `on_restored` is called after each reconnect, before any further delivery: messages of a
        transient queue may have been missed, and a single active consumer may not be the same.
        """

    async def count_dead(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many letters each of these dead letter queues holds. Raises: Unavailable."""

    async def read_dead(self, queue: str, *, limit: int) -> list[DeadLetter]:
        """Return the oldest letters of a dead letter queue; they stay there. Raises: Unavailable."""

    async def replay_dead(self, queue: str, *, message_id: str | None, limit: int) -> int:
        """Send letters back to the queues they died in: one, or the oldest. Return how many were sent.

        Raises:
            Unavailable: the broker is away; those that were sent stay sent.
        """

    async def ping(self) -> None:
        """Return if a message can make the round trip now; raises Unavailable otherwise."""

    async def close(self) -> None:
        """Cancel all subscriptions, then disconnect. Idempotent."""
