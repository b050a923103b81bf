"""A delivery of RabbitMQ."""

import contextlib
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aiormq.abc import AbstractChannel as Wire
from aiormq.abc import DeliveredMessage

from qrt_chassis.bus.amqp.driver import driver_errors
from qrt_chassis.bus.amqp.frames import Address
from qrt_chassis.bus.amqp.session import Session
from qrt_chassis.bus.letters import DIED_AT, ERROR, ERROR_CHARACTERS, FIRST_SEEN, QUEUE, REASON
from qrt_chassis.bus.wire import REQUEST_ID, SCHEMA, SCHEMA_VERSION, TRACEPARENT, Envelope


def envelope_of(message: DeliveredMessage) -> Envelope:
    """Return what came, as it was sent; a message of foreign make has schema "" or version 0."""
    properties = message.header.properties
    headers: dict[str, Any] = dict(properties.headers or {})
    version, request_id = headers.get(SCHEMA_VERSION), headers.get(REQUEST_ID)
    traceparent = headers.get(TRACEPARENT)
    return Envelope(
        body=message.body,
        schema=str(headers.get(SCHEMA, "")),
        version=version if isinstance(version, int) else 0,
        message_id=properties.message_id or "",
        request_id=None if request_id is None else str(request_id),
        traceparent=None if traceparent is None else str(traceparent),
        sent_at=_aware(properties.timestamp),
        expires_seconds=_seconds(properties.expiration),
    )


def _aware(moment: datetime | None) -> datetime:
    if moment is None:
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seconds(expiration: str | None) -> float | None:
    with contextlib.suppress(TypeError, ValueError):
        return int(expiration or "") / 1000
    return None


class Receipts:
    """Acknowledges what one channel brings.

    `together`: only one is handled at a time, and the queue goes away with the channel, so that an
    acknowledgement does no more than make room. Then one, sent when nothing else waits, is for all before it.
    """

    def __init__(self, wire: Wire, *, together: int = 1) -> None:
        self._wire = wire
        self._together = together
        self._tag = 0
        self._count = 0

    @property
    def owed(self) -> bool:
        """Something was accepted and the broker has not been told."""
        return self._count > 0

    def note(self, tag: int) -> None:
        """Acknowledge a delivery by the next that is sent."""
        self._tag = tag
        self._count += 1

    async def accept(self, tag: int) -> None:
        """Acknowledge a delivery, now or with those that follow."""
        self.note(tag)
        if self._count >= self._together:
            await self.send()

    async def send(self) -> None:
        """Acknowledge all that was accepted."""
        if self._count:
            multiple, self._count = self._count > 1, 0
            with driver_errors():
                await self._wire.basic_ack(self._tag, multiple=multiple, wait=False)


class AmqpDelivery:
    """One message that RabbitMQ has given to one of our channels."""

    def __init__(
        self,
        message: DeliveredMessage,
        *,
        wire: Wire,
        receipts: Receipts,
        session: Session,
        queue: str,
        dead: str,
    ) -> None:
        self.envelope = envelope_of(message)
        self.received = time.monotonic()
        self.reply_to = message.header.properties.reply_to
        came_back = (message.header.properties.headers or {}).get("x-delivery-count")
        self.earlier = came_back if isinstance(came_back, int) else 0
        self._tag = message.delivery_tag
        self._wire = wire
        self._receipts = receipts
        self._session = session
        self._queue = queue
        self._dead = dead

    @property
    def held(self) -> bool:
        """False once the channel is gone: the broker gives the message to the next consumer."""
        return not self._wire.is_closed

    async def accept(self) -> None:
        """Acknowledge it."""
        await self._receipts.accept(self._tag or 0)

    def note_accepted(self) -> None:
        """Acknowledge it by the next receipt that is sent."""
        self._receipts.note(self._tag or 0)

    async def give_back(self) -> None:
        """Return it to its queue."""
        with driver_errors():
            await self._wire.basic_nack(self._tag or 0, requeue=True, wait=False)

    async def bury(self, reason: str, error: str) -> None:
        """Move it to the dead letter queue: confirmed there before it is acknowledged here."""
        headers = {
            REASON: reason,
            ERROR: error[:ERROR_CHARACTERS],
            QUEUE: self._queue,
            FIRST_SEEN: self.envelope.sent_at.isoformat(),
            DIED_AT: datetime.now(UTC).isoformat(),
        }
        # A letter is kept until somebody has read it, whatever lifetime the message had.
        letter = replace(self.envelope, expires_seconds=None)
        await self._session.publish(
            letter, Address(exchange="", key=self._dead, mandatory=True, headers=headers)
        )
        await self.accept()

    async def reply(self, body: bytes) -> None:
        """Answer a command; an answer whose caller has gone is dropped by the broker."""
        if self.reply_to is None:
            return
        answer = replace(self.envelope, body=body, expires_seconds=None)
        address = Address(exchange="", key=self.reply_to, confirmed=False, persistent=False)
        await self._session.publish(answer, address)
