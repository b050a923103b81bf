"""The bus on RabbitMQ."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

from qrt_chassis import metrics, tracing
from qrt_chassis.backoff import Backoff
from qrt_chassis.bus.amqp.dead import count_dead, list_dead, replay_dead
from qrt_chassis.bus.amqp.delivered import AmqpDelivery
from qrt_chassis.bus.amqp.driver import ConnectionLost, NoQueue, Refused
from qrt_chassis.bus.amqp.frames import Address
from qrt_chassis.bus.amqp.session import REPLIES
from qrt_chassis.bus.amqp.sessions import Sessions
from qrt_chassis.bus.amqp.subscribed import AmqpSubscribed
from qrt_chassis.bus.answers import Answerer, measured, read_answer
from qrt_chassis.bus.delivery import Policy, expired, handled_at_once, settle
from qrt_chassis.bus.letters import DeadLetter
from qrt_chassis.bus.port import CommandHandlers, Handlers, Subscribed, Subscription, Undeliverable
from qrt_chassis.bus.wire import Envelope, seal
from qrt_chassis.settings import BusSettings
from qrt_contracts.faults import Unavailable
from qrt_contracts.message import Command, Message, Value

R = TypeVar("R", bound=Value)

T = TypeVar("T")

_PING_SECONDS = 5.0
_DEAD_SECONDS = 30.0
"""How long looking at dead letters, or sending them back, may take."""


class AmqpBus:
    """The bus on RabbitMQ. See `port.Bus` for what its methods promise."""

    def __init__(self, settings: BusSettings, *, name: str) -> None:
        self._name = name
        self._settings = settings
        self._sessions = Sessions(settings, name=name)
        self._live: list[AmqpSubscribed] = []

    def start(self) -> None:
        """Begin to connect, in the background; call once, inside a running loop."""
        self._sessions.start()

    async def publish(
        self, message: Message, *, mandatory: bool = False, deadline: timedelta = timedelta(seconds=30)
    ) -> None:
        """Hand a message to the broker; waits for a connection, and sends again what was not confirmed.

        Many may be under way at once. Those that overlap keep their order only while the connection
        lasts: await one before the next where order matters.
        """
        schema, seconds = message.schema_name, deadline.total_seconds()
        address = _address(message.exchange, message.routing_key(), mandatory, message.must_arrive)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                with tracing.step(f"{schema} publish", kind="producer"):
                    await self._send(seal(message), address)
        except TimeoutError:
            raise Unavailable(f"the broker did not take {schema} within {seconds:g} s") from None
        except NoQueue:
            raise Undeliverable(f"nobody takes {schema} for {address.key}") from None
        finally:
            metrics.PUBLISH_SECONDS.labels(schema).observe(time.perf_counter() - began)
        metrics.PUBLISHED.labels(schema).inc()

    async def _send(self, envelope: Envelope, address: Address) -> None:
        backoff: Backoff | None = None
        unconfirmed = False
        while True:
            session = await self._sessions.restored()
            try:
                await session.publish(envelope, address)
            except NoQueue:
                if unconfirmed:
                    # An earlier try may have found the queue before it went away.
                    raise Unavailable(f"{envelope.schema} was not confirmed, and its queue is gone") from None
                raise
            except (ConnectionLost, Refused) as error:
                unconfirmed = unconfirmed or isinstance(error, ConnectionLost)
                metrics.PUBLISH_RETRIES.labels(envelope.schema).inc()
                backoff = backoff or Backoff(first=0.02, longest=1.0)
                await asyncio.sleep(backoff.next())
            else:
                return

    async def request(self, command: Command[R], *, deadline: timedelta = timedelta(seconds=10)) -> R:
        """Send a command and wait for its answer."""
        seconds = deadline.total_seconds()
        with measured(command.schema_name):
            try:
                async with asyncio.timeout(seconds) as limit:
                    answer = await self._ask(command, until=limit.when() or 0.0)
            except TimeoutError:
                raise Unavailable(f"the {command.service} did not answer within {seconds:g} s") from None
            except (ConnectionLost, Refused) as error:
                raise Unavailable(f"the answer of the {command.service} was lost: {error}") from None
            return read_answer(command, answer)

    async def _ask(self, command: Command[R], *, until: float) -> bytes:
        """Ask once; again only while there is no queue to ask in, so that nothing is done twice."""
        loop = asyncio.get_running_loop()
        address = Address(
            exchange=command.exchange,
            key=command.routing_key(),
            mandatory=True,
            persistent=False,
            reply_to=REPLIES,
        )
        backoff = Backoff(first=0.02, longest=0.5)
        while True:
            session = await self._sessions.restored()
            envelope = seal(command, expires_seconds=max(0.001, until - loop.time()))
            try:
                return await session.request(envelope, address)
            except NoQueue:
                await asyncio.sleep(backoff.next())

    async def serve(self, service: str, handlers: CommandHandlers, *, concurrency: int = 64) -> Subscribed:
        """Answer the commands sent to `service`; replicas compete."""
        answerer = Answerer(service, handlers)

        async def answered(delivery: AmqpDelivery, _stopping: asyncio.Event) -> None:
            if not expired(delivery):
                await delivery.reply(await answerer.answer(delivery.envelope))
            await delivery.accept()

        subscription = Subscription(
            queue=f"{service}.commands", concurrency=concurrency, prefetch=concurrency
        )
        return await self._consume(subscription, answered, commands=True, on_restored=None)

    async def subscribe(
        self,
        subscription: Subscription,
        handlers: Handlers,
        *,
        on_restored: Callable[[], None] | None = None,
    ) -> Subscribed:
        """Receive messages; returns when the queue exists and is bound, if there is a connection."""
        policy = Policy.of(handlers, max_deliveries=subscription.max_deliveries)

        async def settled(delivery: AmqpDelivery, stopping: asyncio.Event) -> None:
            await settle(delivery, policy, stopping=stopping)

        def at_once(delivery: AmqpDelivery) -> bool:
            return handled_at_once(delivery, policy)

        return await self._consume(
            subscription, settled, commands=False, on_restored=on_restored, at_once=at_once
        )

    async def _consume(
        self,
        subscription: Subscription,
        settled: Callable[[AmqpDelivery, asyncio.Event], Awaitable[None]],
        *,
        commands: bool,
        on_restored: Callable[[], None] | None,
        at_once: Callable[[AmqpDelivery], bool] | None = None,
    ) -> Subscribed:
        subscribed = AmqpSubscribed(
            subscription,
            sessions=self._sessions,
            settle=settled,
            at_once=at_once,
            commands=commands,
            on_restored=on_restored,
            gone=self._live.remove,
            connection_name=self._name,
        )
        self._live.append(subscribed)
        await subscribed.start()
        return subscribed

    async def ping(self) -> None:
        """Send a message to ourselves; every subscription must be live, too."""
        try:
            async with asyncio.timeout(_PING_SECONDS):
                session = await self._sessions.restored()
                await session.ping()
        except (TimeoutError, ConnectionLost, Refused, NoQueue) as error:
            raise Unavailable(f"the broker does not answer: {error!r}") from None
        if down := [each.queue for each in self._live if not each.live]:
            raise Unavailable(f"not fed: {', '.join(down)}")

    async def count_dead(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many letters each of these dead letter queues holds."""
        return await self._of_the_dead(count_dead(self._settings, queues))

    async def read_dead(self, queue: str, *, limit: int) -> list[DeadLetter]:
        """Return the oldest letters of a dead letter queue; they stay there."""
        if not (await self.count_dead([queue]))[queue]:
            return []
        return await self._of_the_dead(list_dead(self._settings, queue, limit=limit))

    async def replay_dead(self, queue: str, *, message_id: str | None, limit: int) -> int:
        """Send letters back to the queues they died in; those whose queue is gone stay."""
        if not (await self.count_dead([queue]))[queue]:
            return 0
        return await self._of_the_dead(
            replay_dead(
                self._settings,
                queue,
                chosen=lambda letter: message_id in (None, letter.message_id),
                limit=limit,
            )
        )

    async def _of_the_dead(self, asked: Coroutine[Any, Any, T]) -> T:
        """Await what is asked on a connection of its own; looking at letters must disturb nobody."""
        try:
            async with asyncio.timeout(_DEAD_SECONDS):
                return await asked
        except (ConnectionError, TimeoutError) as error:
            raise Unavailable(f"the dead letters cannot be had now: {error!r}") from None

    async def close(self) -> None:
        """Cancel all subscriptions, then disconnect."""
        await asyncio.gather(*(each.cancel() for each in list(self._live)))
        await self._sessions.close()


@lru_cache(maxsize=256)
def _address(exchange: str, key: str, mandatory: bool, must_arrive: bool) -> Address:
    return Address(
        exchange=exchange,
        key=key,
        mandatory=mandatory,
        confirmed=mandatory or must_arrive,
        persistent=must_arrive,
    )
