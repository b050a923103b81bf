"""One queue of the in-process transport."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from qrt_chassis.bus.port import Subscription
from qrt_chassis.bus.wire import Envelope, matches
from qrt_contracts.message import Exchange

CAPACITY_BYTES = 256 * 1024 * 1024
"""What a durable queue holds before its publishers have to wait."""


@dataclass(slots=True, eq=False)
class Stored:
    """A message in a queue. `reply` takes the answer, if it is a command."""

    envelope: Envelope
    reply: Callable[[bytes], None] | None = None
    earlier: int = 0
    enqueued: float = field(default_factory=time.monotonic)


class Taker:
    """One consumer of a queue: its idle workers, and what its busy ones hold."""

    def __init__(self) -> None:
        self.idle: deque[asyncio.Future[Stored]] = deque()
        self.holding: list[Stored] = []


class MemoryQueue:
    """Messages in order, and the consumers that compete for them."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.bindings = set(subscription.bindings)
        self._waiting: deque[Stored] = deque()
        self._bytes = 0
        self._takers: list[Taker] = []
        self._room = asyncio.Event()
        self._room.set()

    def takes(self, exchange: Exchange, key: str) -> bool:
        """Tell whether a message published there comes here."""
        return any(at == exchange and matches(pattern, key) for at, pattern in self.bindings)

    @property
    def consumed(self) -> bool:
        """Whether anybody consumes it."""
        return bool(self._takers)

    async def room(self) -> None:
        """Wait until the queue can take another message."""
        await self._room.wait()

    def put(self, stored: Stored) -> None:
        """Append a message; a transient queue that is full drops its oldest."""
        self._waiting.append(stored)
        self._account(len(stored.envelope.body))
        limit = self.subscription.max_length
        if not self.subscription.durable and limit is not None and len(self._waiting) > limit:
            self._serve()
            while len(self._waiting) > limit:
                self._account(-len(self._waiting.popleft().envelope.body))
        self._serve()

    def join(self, taker: Taker) -> None:
        """Add a consumer; it competes with the others, or stands by in a single active queue."""
        self._takers.append(taker)

    def leave(self, taker: Taker) -> None:
        """Remove a consumer; what it holds goes back to the head of the queue, in its order."""
        self._takers.remove(taker)
        for worker in taker.idle:
            worker.cancel()
        for stored in reversed(taker.holding):
            self._put_back(stored)
        taker.holding.clear()
        self._serve()

    async def take(self, taker: Taker) -> Stored:
        """Wait for the next message for `taker`, which then holds it."""
        # A backlog and a handler that awaits nothing must not keep the loop to themselves.
        await asyncio.sleep(0)
        worker: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        taker.idle.append(worker)
        self._serve()
        try:
            return await worker
        except asyncio.CancelledError:
            if worker.done() and not worker.cancelled():
                self.give_back(taker, worker.result())
            raise

    def settle(self, taker: Taker, stored: Stored) -> None:
        """Forget a message that `taker` has dealt with, if it still was its own."""
        if stored in taker.holding:
            taker.holding.remove(stored)

    def give_back(self, taker: Taker, stored: Stored) -> None:
        """Return a message to the head of the queue."""
        if stored in taker.holding:
            taker.holding.remove(stored)
            self._put_back(stored)
            self._serve()

    def _put_back(self, stored: Stored) -> None:
        stored.earlier += 1
        self._waiting.appendleft(stored)
        self._account(len(stored.envelope.body))

    def _account(self, change: int) -> None:
        self._bytes += change
        full = self.subscription.durable and self._bytes >= CAPACITY_BYTES
        (self._room.clear if full else self._room.set)()

    def _serve(self) -> None:
        """Hand waiting messages to idle workers."""
        self._drop_expired()
        while self._waiting and (taker := self._next_taker()) is not None:
            stored = self._waiting.popleft()
            self._account(-len(stored.envelope.body))
            taker.holding.append(stored)
            taker.idle.popleft().set_result(stored)
            self._drop_expired()

    def _drop_expired(self) -> None:
        while self._waiting and _expired(self._waiting[0]):
            self._account(-len(self._waiting.popleft().envelope.body))

    def _next_taker(self) -> Taker | None:
        """Return the consumer to feed: the active one, or the next in turn that has an idle worker."""
        eligible = self._takers[:1] if self.subscription.single_active else self._takers
        for taker in eligible:
            while taker.idle and taker.idle[0].done():
                taker.idle.popleft()
            if taker.idle:
                if not self.subscription.single_active:
                    self._takers.remove(taker)
                    self._takers.append(taker)
                return taker
        return None


def _expired(stored: Stored) -> bool:
    lifetime = stored.envelope.expires_seconds
    return lifetime is not None and time.monotonic() - stored.enqueued > lifetime
