"""The in-process transport: one process, no broker, the same promises while the process lives.

Messages pass through their JSON bytes, so that what does not validate fails here as it does on a
broker. It never disconnects, so `on_restored` is never called.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from qrt_chassis import metrics, tracing
from qrt_chassis.bus.answers import Answerer, measured, read_answer
from qrt_chassis.bus.consumer import Consumer
from qrt_chassis.bus.delivery import Policy, expired, settle
from qrt_chassis.bus.letters import DEAD_CAPACITY, ERROR_CHARACTERS, DeadLetter
from qrt_chassis.bus.memory_queue import MemoryQueue, Stored, Taker
from qrt_chassis.bus.port import CommandHandlers, Handlers, Subscribed, Subscription, Undeliverable
from qrt_chassis.bus.wire import Envelope, seal
from qrt_contracts.faults import Unavailable
from qrt_contracts.message import Command, Exchange, Message, Value

R = TypeVar("R", bound=Value)


class MemoryBus:
    """The bus of one process. See `port.Bus` for what its methods promise."""

    def __init__(self) -> None:
        self._queues: dict[str, MemoryQueue] = {}
        self._dead: dict[str, deque[_Buried]] = {}
        self._live: list[_MemorySubscribed] = []
        self._queue_added = asyncio.Event()
        self._closed = False

    async def publish(
        self, message: Message, *, mandatory: bool = False, deadline: timedelta = timedelta(seconds=30)
    ) -> None:
        """Put a message into every queue that takes it."""
        self._check_open()
        found = self._route(message.exchange, message.routing_key())
        if mandatory and not found:
            raise Undeliverable(f"nobody takes {message.schema_name} for {message.routing_key()}")
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                # As on a broker, others have their turn before a publish returns.
                await asyncio.sleep(0)
                for queue in found:
                    await queue.room()
        except TimeoutError:
            raise Unavailable(f"a queue for {message.schema_name} is full") from None
        with tracing.step(f"{message.schema_name} publish", kind="producer"):
            envelope = seal(message)
        for queue in found:
            queue.put(Stored(envelope))
        metrics.PUBLISHED.labels(message.schema_name).inc()

    async def request(self, command: Command[R], *, deadline: timedelta = timedelta(seconds=10)) -> R:
        """Send a command to whoever serves it and wait for the answer."""
        self._check_open()
        seconds = deadline.total_seconds()
        try:
            with measured(command.schema_name):
                async with asyncio.timeout(seconds):
                    queue = await self._served(command)
                    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
                    queue.put(Stored(seal(command, expires_seconds=seconds), reply=_once(answer)))
                    return read_answer(command, await answer)
        except TimeoutError:
            raise Unavailable(f"the {command.service} did not answer within {seconds:g} s") from None

    async def serve(self, service: str, handlers: CommandHandlers, *, concurrency: int = 64) -> Subscribed:
        """Answer the commands sent to `service`."""
        name = f"{service}.commands"
        subscription = Subscription(
            queue=name, bindings=((Exchange.COMMANDS, name),), concurrency=concurrency, prefetch=concurrency
        )
        answerer = Answerer(service, handlers)

        async def answered(delivery: MemoryDelivery, _stopping: asyncio.Event) -> None:
            if not expired(delivery):
                delivery.answer(await answerer.answer(delivery.envelope))
            await delivery.accept()

        return self._consume(subscription, answered)

    async def subscribe(
        self,
        subscription: Subscription,
        handlers: Handlers,
        *,
        on_restored: Callable[[], None] | None = None,  # noqa: ARG002 - nothing is ever interrupted here
    ) -> Subscribed:
        """Receive what is published from now on, and what waits in a durable queue of that name."""
        policy = Policy.of(handlers, max_deliveries=subscription.max_deliveries)

        async def settled(delivery: MemoryDelivery, stopping: asyncio.Event) -> None:
            await settle(delivery, policy, stopping=stopping)

        return self._consume(subscription, settled)

    async def ping(self) -> None:
        """Return: this transport is there as long as its process."""
        self._check_open()

    async def close(self) -> None:
        """Cancel all subscriptions; the last acts of their handlers may still publish."""
        await asyncio.gather(*(each.cancel() for each in list(self._live)))
        self._closed = True

    async def count_dead(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many letters each of these dead letter queues holds."""
        return {queue: len(self._dead.get(queue, ())) for queue in queues}

    async def read_dead(self, queue: str, *, limit: int) -> list[DeadLetter]:
        """Return the oldest letters of a dead letter queue; they stay there."""
        return [each.letter for each in islice(self._dead.get(queue, ()), limit)]

    async def replay_dead(self, queue: str, *, message_id: str | None, limit: int) -> int:
        """Send letters back to the queues they died in; those whose queue is gone stay."""
        dead = self._dead.get(queue, deque[_Buried]())
        sent = 0
        for each in list(islice(dead, limit)):
            home = self._queues.get(each.letter.queue)
            if home is not None and message_id in (None, each.letter.message_id):
                dead.remove(each)
                # Without a lifetime: it would be over at once.
                home.put(Stored(replace(each.envelope, expires_seconds=None)))
                sent += 1
        return sent

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the bus is closed")

    def _route(self, exchange: Exchange, key: str) -> list[MemoryQueue]:
        return [queue for queue in self._queues.values() if queue.takes(exchange, key)]

    async def _served(self, command: Command[R]) -> MemoryQueue:
        """Return the queue of the service; wait for it while services are still starting."""
        while not (found := self._route(command.exchange, command.routing_key())):
            await self._queue_added.wait()
        return found[0]

    def _consume(
        self,
        subscription: Subscription,
        settled: Callable[["MemoryDelivery", asyncio.Event], Awaitable[None]],
    ) -> Subscribed:
        self._check_open()
        queue = self._queues.setdefault(subscription.queue, MemoryQueue(subscription))
        queue.bindings.update(subscription.bindings)
        dead = self._dead.setdefault(subscription.dead_queue, deque(maxlen=DEAD_CAPACITY))
        live = _MemorySubscribed(
            queue, dead=dead, settled=settled, gone=self._gone, concurrency=subscription.concurrency
        )
        self._live.append(live)
        self._queue_added.set()
        self._queue_added = asyncio.Event()
        return live

    def _gone(self, subscribed: "_MemorySubscribed", queue: MemoryQueue) -> None:
        self._live.remove(subscribed)
        if not queue.subscription.durable and not queue.consumed:
            del self._queues[queue.subscription.queue]


@dataclass(frozen=True, slots=True, eq=False)
class _Buried:
    """A dead letter, and the message as it was sent."""

    letter: DeadLetter
    envelope: Envelope


class MemoryDelivery:
    """A message in the hands of one consumer of a `MemoryQueue`."""

    def __init__(self, stored: Stored, *, queue: MemoryQueue, taker: Taker, dead: deque[_Buried]) -> None:
        self.received = stored.enqueued
        self._stored = stored
        self._queue = queue
        self._taker = taker
        self._dead = dead

    @property
    def envelope(self) -> Envelope:
        """The message."""
        return self._stored.envelope

    @property
    def earlier(self) -> int:
        """How often it came back unacknowledged."""
        return self._stored.earlier

    @property
    def held(self) -> bool:
        """False once its consumer has left."""
        return self._stored in self._taker.holding

    def answer(self, body: bytes) -> None:
        """Give the answer to the command's caller, if it still waits."""
        if self._stored.reply is not None:
            self._stored.reply(body)

    async def accept(self) -> None:
        """Acknowledge it."""
        self._queue.settle(self._taker, self._stored)

    async def give_back(self) -> None:
        """Return it to the head of its queue."""
        self._queue.give_back(self._taker, self._stored)

    async def bury(self, reason: str, error: str) -> None:
        """Move it to the dead letters."""
        envelope = self._stored.envelope
        letter = DeadLetter(
            message_id=envelope.message_id,
            queue=self._queue.subscription.queue,
            schema=envelope.schema,
            reason=reason,
            error=error[:ERROR_CHARACTERS],
            first_seen=envelope.sent_at,
            died_at=datetime.now(UTC),
            body=envelope.body,
        )
        self._dead.append(_Buried(letter, envelope))
        self._queue.settle(self._taker, self._stored)


class _MemorySubscribed:
    """A live subscription in this process."""

    def __init__(
        self,
        queue: MemoryQueue,
        *,
        dead: deque[_Buried],
        settled: Callable[[MemoryDelivery, asyncio.Event], Awaitable[None]],
        gone: Callable[["_MemorySubscribed", MemoryQueue], None],
        concurrency: int,
    ) -> None:
        self._queue = queue
        self._dead = dead
        self._gone = gone
        self._taker = Taker()
        self._cancelled = False
        queue.join(self._taker)
        self._consumer = Consumer(
            queue.subscription.queue, take=self._take, settle=settled, concurrency=concurrency
        )

    async def bind(self, exchange: Exchange, pattern: str) -> None:
        """Also receive what matches `pattern`."""
        self._queue.bindings.add((exchange, pattern))

    async def unbind(self, exchange: Exchange, pattern: str) -> None:
        """Stop receiving what matches `pattern`."""
        self._queue.bindings.discard((exchange, pattern))

    async def cancel(self) -> None:
        """Take nothing more and wait for running handlers."""
        if self._cancelled:
            return
        self._cancelled = True
        await self._consumer.stop()
        self._queue.leave(self._taker)
        self._gone(self, self._queue)

    async def _take(self) -> MemoryDelivery:
        stored = await self._queue.take(self._taker)
        return MemoryDelivery(stored, queue=self._queue, taker=self._taker, dead=self._dead)


def _once(answer: asyncio.Future[bytes]) -> Callable[[bytes], None]:
    """Return what hands over the first answer; a second one, or one too late, has no receiver."""

    def hand_over(body: bytes) -> None:
        if not answer.done():
            answer.set_result(body)

    return hand_over
