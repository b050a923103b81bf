"""One connection to the broker and the two channels every process publishes on."""

import asyncio
import contextlib
import logging

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq import Channel
from aiormq.abc import AbstractChannel as Wire
from aiormq.abc import DeliveredMessage

from qrt_chassis.bus.amqp.driver import ConnectionLost, driver_errors
from qrt_chassis.bus.amqp.frames import Address
from qrt_chassis.bus.amqp.publishing import Publisher, publish_by_driver
from qrt_chassis.bus.amqp.topology import declare_exchanges
from qrt_chassis.bus.wire import Envelope
from qrt_chassis.settings import BusSettings

log = logging.getLogger(__name__)

REPLIES = "amq.rabbitmq.reply-to"
"""RabbitMQ's pseudo-queue: a reply goes straight to the channel that asked, without any queue."""

_CLOSE_SECONDS = 5.0


class Session:
    """A connection while it lives. It is never repaired: when it ends, another one is opened."""

    def __init__(self, connection: AbstractConnection, *, confirming: Channel, casting: Wire) -> None:
        self._connection = connection
        self._confirming = confirming
        self._publisher = Publisher(confirming)
        self._casting = casting
        self._answers: dict[str, asyncio.Future[bytes]] = {}
        self._echo = ""
        self.ended = asyncio.Event()
        for end in (confirming.closing, casting.closing):
            end.add_done_callback(self._end)

    @classmethod
    async def open(cls, settings: BusSettings, *, name: str) -> "Session":
        """Connect, declare the exchanges, and listen for replies.

        Raises:
            ConnectionLost, TimeoutError: it did not work.
        """
        with driver_errors():
            async with asyncio.timeout(2 * settings.connect_seconds):
                connection = await aio_pika.connect(
                    settings.url.get_secret_value(),
                    timeout=settings.connect_seconds,
                    heartbeat=settings.heartbeat_seconds,
                    client_properties={"connection_name": name},
                )
                try:
                    return await cls._set_up(connection)
                except BaseException:
                    await _close(connection)
                    raise

    @classmethod
    async def _set_up(cls, connection: AbstractConnection) -> "Session":
        confirming = connection.channel(publisher_confirms=True, on_return_raises=True)
        await confirming.initialize()
        casting = connection.channel(publisher_confirms=False)
        await casting.initialize()
        await declare_exchanges(confirming)
        wire = await confirming.get_underlay_channel()
        assert isinstance(wire, Channel)  # noqa: S101 - the driver has no other
        session = cls(connection, confirming=wire, casting=await casting.get_underlay_channel())
        await session._listen(confirming)
        return session

    async def _listen(self, channel: AbstractChannel) -> None:
        await self._confirming.basic_consume(REPLIES, self._on_answer, no_ack=True)
        echo = await channel.declare_queue(exclusive=True, auto_delete=True)
        self._echo = echo.name
        await self._confirming.basic_consume(echo.name, self._on_answer, no_ack=True)

    async def channel(self, *, prefetch: int) -> AbstractChannel:
        """Open a channel for one consumer."""
        channel = self._connection.channel(publisher_confirms=False)
        await channel.initialize()
        await channel.set_qos(prefetch_count=prefetch)
        return channel

    async def publish(self, envelope: Envelope, address: Address) -> None:
        """Publish one message.

        Raises:
            ConnectionLost: the broker may or may not have it.
            Refused: the broker does not take it now.
            NoQueue: mandatory, and there is no queue for it.
        """
        with driver_errors():
            if address.confirmed:
                await self._publisher.publish(envelope, address)
                return
            await publish_by_driver(self._casting, envelope, address)

    async def request(self, envelope: Envelope, address: Address) -> bytes:
        """Publish a message whose `reply_to` is `REPLIES` and wait for the answer.

        Raises:
            ConnectionLost: no answer can come any more.
            NoQueue: there is nobody to ask.
        """
        return await self._exchange(envelope, address)

    async def ping(self) -> None:
        """Send a message to ourselves and wait until it is here."""
        await self._exchange(
            Envelope(body=b"", schema="ping", version=1),
            Address(exchange="", key=self._echo, mandatory=True, persistent=False),
        )

    async def _exchange(self, envelope: Envelope, address: Address) -> bytes:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[envelope.message_id] = answer
        try:
            await self.publish(envelope, address)
            return await answer
        finally:
            del self._answers[envelope.message_id]

    async def _on_answer(self, message: DeliveredMessage) -> None:
        properties = message.header.properties
        answer = self._answers.get(str(properties.correlation_id))
        if answer is not None and not answer.done():
            answer.set_result(message.body)

    def _end(self, _closing: object) -> None:
        self.ended.set()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionLost("the connection ended before the answer came"))
                answer.exception()  # seen: a caller that has left does not make it unretrieved

    async def close(self) -> None:
        """Disconnect."""
        self.ended.set()
        await _close(self._connection)


async def _close(connection: AbstractConnection) -> None:
    """Close politely, but not for long: the other side may be gone."""
    with contextlib.suppress(ConnectionLost, TimeoutError), driver_errors():
        async with asyncio.timeout(_CLOSE_SECONDS):
            await connection.close()
