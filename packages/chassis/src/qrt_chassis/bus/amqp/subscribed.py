"""A subscription on RabbitMQ: fed by one channel of each session in turn."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from aio_pika.abc import AbstractChannel, AbstractQueue
from aiormq.abc import AbstractChannel as Wire
from aiormq.abc import DeliveredMessage

from qrt_chassis import metrics
from qrt_chassis.backoff import Backoff
from qrt_chassis.bus.amqp.delivered import AmqpDelivery, Receipts
from qrt_chassis.bus.amqp.driver import ConnectionLost, driver_errors
from qrt_chassis.bus.amqp.session import Session
from qrt_chassis.bus.amqp.sessions import Sessions
from qrt_chassis.bus.amqp.topology import declare_commands, declare_queue
from qrt_chassis.bus.consumer import Consumer
from qrt_chassis.bus.port import Subscription
from qrt_chassis.loops import run_for_ever
from qrt_chassis.tasks import Tasks
from qrt_contracts.message import Exchange

log = logging.getLogger(__name__)

_CALL_SECONDS = 15.0
"""How long one exchange with the broker about a subscription may take."""


class _Feed:
    """One channel that consumes the queue, until the channel or the consumer ends."""

    def __init__(self, channel: AbstractChannel, wire: Wire, queue: AbstractQueue) -> None:
        self.channel = channel
        self.wire = wire
        self.queue = queue
        self.tag = ""
        self.ended = asyncio.Event()
        wire.closing.add_done_callback(self._end)
        wire.on_consumer_cancel_callbacks.add(self._end)

    def _end(self, _: object) -> None:
        self.ended.set()

    async def close(self) -> None:
        """Close the channel; what it held unacknowledged returns to the queue, in its order."""
        self.ended.set()
        await _politely(self.channel.close())

    async def cease(self) -> None:
        """Take nothing more; what is held can still be acknowledged."""
        await _politely(self.wire.basic_cancel(self.tag))


async def _politely(call: Awaitable[object]) -> None:
    """Await a parting call, but not for long, and whatever becomes of it."""
    with contextlib.suppress(ConnectionLost, TimeoutError), driver_errors():
        async with asyncio.timeout(_CALL_SECONDS):
            await call


class AmqpSubscribed:
    """A live subscription; it sets itself up anew on each session."""

    def __init__(
        self,
        subscription: Subscription,
        *,
        sessions: Sessions,
        settle: Callable[[AmqpDelivery, asyncio.Event], Awaitable[None]],
        at_once: Callable[[AmqpDelivery], bool] | None = None,
        commands: bool = False,
        on_restored: Callable[[], None] | None = None,
        gone: Callable[["AmqpSubscribed"], None],
        connection_name: str,
    ) -> None:
        self._subscription = subscription
        self._bindings = set(subscription.bindings)
        self._sessions = sessions
        self._commands = commands
        self._on_restored = on_restored
        self._gone = gone
        self._down = metrics.SUBSCRIPTIONS_DOWN.labels(connection_name)
        self._feed: _Feed | None = None
        self._receipts: Receipts | None = None
        self._tried = asyncio.Event()
        self._first = True
        self._cancelled = False
        self._changing = asyncio.Lock()
        # Bounded by the prefetch: the broker gives no more than that unacknowledged.
        self._arrived: asyncio.Queue[AmqpDelivery] = asyncio.Queue()
        self._at_once = at_once if self._together > 1 else None
        self._idle = False
        """All workers wait; of a subscription with more than one nobody asks."""
        self._consumer = Consumer(
            subscription.queue, take=self._take, settle=settle, concurrency=subscription.concurrency
        )
        self._tasks = Tasks(f"subscription {subscription.queue}")

    @property
    def live(self) -> bool:
        """Whether the broker feeds it now."""
        return self._feed is not None

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self._subscription.queue

    async def start(self) -> None:
        """Go live; return at once if there is no connection, and go live when there is one."""
        self._sessions.follow(self)
        self._down.inc()
        self._tasks.start(run_for_ever("bus", "feed", self._keep_live), name="feed")
        if self._sessions.current is not None:
            await self._tried.wait()
        self._first = False

    async def bind(self, exchange: Exchange, pattern: str) -> None:
        """Also receive what matches `pattern`, on this session and those to come."""
        self._bindings.add((exchange, pattern))
        await self._change(lambda queue: queue.bind(exchange, pattern, timeout=_CALL_SECONDS))

    async def unbind(self, exchange: Exchange, pattern: str) -> None:
        """Stop receiving what matches `pattern`."""
        self._bindings.discard((exchange, pattern))
        await self._change(lambda queue: queue.unbind(exchange, pattern, timeout=_CALL_SECONDS))

    async def _change(self, call: Callable[[AbstractQueue], Awaitable[object]]) -> None:
        """Change the live queue's bindings; if that fails the feed ends, and is made anew with them."""
        async with self._changing:
            feed = self._feed
            if feed is None:
                return
            try:
                with driver_errors():
                    await call(feed.queue)
            except (ConnectionLost, TimeoutError) as error:
                log.warning("a binding of %s is lost with its channel: %s", self.queue, error)
                await feed.close()

    async def cancel(self) -> None:
        """Take no new delivery, wait for running handlers, leave the rest in the queue."""
        if self._cancelled:
            return
        self._cancelled = True
        self._consumer.halt()
        await self._tasks.close()
        feed = self._feed
        if feed is not None:
            await feed.cease()
        await self._consumer.stop()
        if feed is not None:
            await feed.close()
        if self._feed is None:
            self._down.dec()
        self._sessions.unfollow(self)
        self._gone(self)

    async def _keep_live(self) -> None:
        backoff = Backoff(first=0.1, longest=5.0)
        while True:
            session = await self._sessions.connected()
            try:
                feed = await self._establish(session)
            except (ConnectionError, TimeoutError) as error:
                log.warning("subscription %s is not live: %s", self.queue, error)
                self._report_tried()
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._down.dec()
            self._report_tried()
            await feed.ended.wait()
            self._feed = None
            self._down.inc()
            await feed.close()

    def _report_tried(self) -> None:
        self._tried.set()
        self._sessions.tried(self)

    async def _establish(self, session: Session) -> _Feed:
        """Declare, bind, tell, consume; in this order, so that nothing arrives before it was told."""
        async with self._changing, asyncio.timeout(_CALL_SECONDS):
            with driver_errors():
                subscription = self._subscription
                channel = await session.channel(prefetch=max(subscription.prefetch, subscription.concurrency))
                try:
                    return await self._feed_from(session, channel)
                except BaseException:
                    await _politely(channel.close())
                    raise

    async def _feed_from(self, session: Session, channel: AbstractChannel) -> _Feed:
        if self._commands:
            queue = await declare_commands(channel, self.queue)
        else:
            queue = await declare_queue(channel, self._subscription, self._bindings)
        self._tell_restored()
        wire = await channel.get_underlay_channel()
        feed = _Feed(channel, wire, queue)
        self._receipts = receipts = Receipts(wire, together=self._together)
        dead = self._subscription.dead_queue

        async def arrived(message: DeliveredMessage) -> None:
            delivery = AmqpDelivery(
                message, wire=wire, receipts=receipts, session=session, queue=self.queue, dead=dead
            )
            if self._passed_on(delivery):
                delivery.note_accepted()
                await self._acknowledge(receipts)
            else:
                self._arrived.put_nowait(delivery)

        began = await feed.wire.basic_consume(self.queue, arrived)
        feed.tag = began.consumer_tag or ""
        self._feed = feed
        return feed

    @property
    def _together(self) -> int:
        """How many deliveries may be acknowledged as one."""
        subscription = self._subscription
        if subscription.durable or subscription.concurrency > 1:
            return 1
        return max(1, subscription.prefetch // 4)

    def _passed_on(self, delivery: AmqpDelivery) -> bool:
        """Handle a delivery now, if nothing is before it and nothing about it needs waiting."""
        if self._at_once is None or not self._idle or self._cancelled or not self._arrived.empty():
            return False
        return self._at_once(delivery)

    async def _take(self) -> AmqpDelivery:
        if self._receipts is not None:
            await self._acknowledge(self._receipts)
        self._idle = True
        try:
            return await self._arrived.get()
        finally:
            self._idle = False

    async def _acknowledge(self, receipts: Receipts) -> None:
        """Tell the broker what was handled, if nothing waits to be."""
        if receipts.owed and self._arrived.empty():
            # What handlers have written to sockets goes out first.
            await asyncio.sleep(0)
            with contextlib.suppress(ConnectionLost):
                await receipts.send()

    def _tell_restored(self) -> None:
        if self._first or self._on_restored is None:
            return
        try:
            self._on_restored()
        except Exception:  # the subscriber's fault must not keep its queue unread
            log.exception("on_restored of %s failed", self.queue)
