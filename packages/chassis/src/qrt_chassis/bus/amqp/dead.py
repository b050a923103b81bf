"""Dead letters on RabbitMQ: see what is there, and send it back when its cause is mended."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aiormq.abc import AbstractChannel as Wire
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelNotFoundEntity
from pamqp.commands import Basic

from qrt_chassis.bus.amqp.delivered import envelope_of
from qrt_chassis.bus.amqp.driver import NoQueue, driver_errors
from qrt_chassis.bus.amqp.frames import Address
from qrt_chassis.bus.amqp.session import Session
from qrt_chassis.bus.amqp.topology import BROKER_GAVE_UP
from qrt_chassis.bus.letters import DIED_AT, ERROR, FIRST_SEEN, QUEUE, REASON, DeadLetter
from qrt_chassis.settings import BusSettings

_NAME = "dead letters"


async def list_dead(settings: BusSettings, queue: str, *, limit: int = 100) -> list[DeadLetter]:
    """Return the oldest letters of the dead letter queue `queue`; they stay where they are.

    Raises:
        ConnectionError: the broker is away, or has no such queue.
    """
    async with _reading(settings) as (_, wire):
        return [_letter(message) async for message in _taken(wire, queue, limit=limit)]


async def count_dead(settings: BusSettings, queues: Iterable[str]) -> dict[str, int]:
    """Return how many letters each of these dead letter queues holds; one that there never was holds none.

    Raises:
        ConnectionError: the broker is away.
    """
    counts: dict[str, int] = {}
    async with _connected(settings) as session:
        for queue in queues:
            with driver_errors():
                wire = await (await session.channel(prefetch=0)).get_underlay_channel()
                try:
                    declared = await wire.queue_declare(queue, passive=True)
                except ChannelNotFoundEntity:  # the broker closes the channel of whoever asks
                    counts[queue] = 0
                    continue
                counts[queue] = declared.message_count or 0
                await wire.close()
    return counts


async def replay_dead(
    settings: BusSettings,
    queue: str,
    *,
    chosen: Callable[[DeadLetter], bool] = lambda _: True,
    limit: int = 100,
) -> int:
    """Send the chosen ones of the oldest `limit` letters back to the queues they died in.

    Each is confirmed there before it is removed here. Those whose queue is gone stay.

    Returns:
        How many were sent.

    Raises:
        ConnectionError: the broker is away, or has no such queue.
    """
    sent = 0
    async with _reading(settings) as (session, wire):
        async for message in _taken(wire, queue, limit=limit):
            letter = _letter(message)
            if chosen(letter) and await _sent_back(session, message, letter):
                with driver_errors():
                    await wire.basic_ack(message.delivery_tag or 0)
                sent += 1
    return sent


async def _sent_back(session: Session, message: DeliveredMessage, letter: DeadLetter) -> bool:
    # Without a lifetime: it would be over at once.
    envelope = replace(envelope_of(message), expires_seconds=None)
    with contextlib.suppress(NoQueue):
        await session.publish(envelope, Address(exchange="", key=letter.queue, mandatory=True))
        return True
    return False


@asynccontextmanager
async def _connected(settings: BusSettings) -> AsyncIterator[Session]:
    session = await Session.open(settings, name=_NAME)
    try:
        yield session
    finally:
        await session.close()  # what was taken and not acknowledged goes back, in its order


@asynccontextmanager
async def _reading(settings: BusSettings) -> AsyncIterator[tuple[Session, Wire]]:
    async with _connected(settings) as session:
        with driver_errors():
            channel = await session.channel(prefetch=0)
            yield session, await channel.get_underlay_channel()


async def _taken(wire: Wire, queue: str, *, limit: int) -> AsyncIterator[DeliveredMessage]:
    for _ in range(limit):
        with driver_errors():
            message = await wire.basic_get(queue)
        if isinstance(message.delivery, Basic.GetEmpty):
            return
        yield message


def _letter(message: DeliveredMessage) -> DeadLetter:
    headers: dict[str, Any] = dict(message.header.properties.headers or {})
    envelope = envelope_of(message)
    by_broker = headers.get("x-first-death-reason") == BROKER_GAVE_UP and REASON not in headers
    return DeadLetter(
        message_id=envelope.message_id,
        queue=str(headers.get("x-first-death-queue" if by_broker else QUEUE, "")),
        schema=envelope.schema,
        reason=BROKER_GAVE_UP if by_broker else str(headers.get(REASON, "")),
        error="its handlers' processes died, or lost their connections"
        if by_broker
        else str(headers.get(ERROR, "")),
        first_seen=envelope.sent_at if by_broker else _moment(headers.get(FIRST_SEEN)),
        died_at=_buried_at(headers) if by_broker else _moment(headers.get(DIED_AT)),
        body=message.body,
    )


def _buried_at(headers: dict[str, Any]) -> datetime | None:
    """Return when the broker gave a message up, as its own header says."""
    deaths = headers.get("x-death")
    at = deaths[0].get("time") if isinstance(deaths, list) and deaths else None
    if not isinstance(at, datetime):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
