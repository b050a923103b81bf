"""Publishing on one channel with confirmations, in fewer steps than the driver takes.

Every output of a program passes here on its way to whoever watches it. The driver builds a message
attribute by attribute, with two locks and two futures to it. Here a plain message is written at once and
given to the driver's writer; the driver numbers and confirms it among its own. All others go its way.
"""

import asyncio
from functools import partial
from typing import Any

from aiormq import Channel
from aiormq.abc import AbstractChannel, ChannelFrame

from qrt_chassis.bus.amqp.frames import Address, is_plain, plain_frames, properties_of
from qrt_chassis.bus.wire import Envelope


async def publish_by_driver(channel: AbstractChannel, envelope: Envelope, address: Address) -> None:
    """Publish one message as the driver does it; what it raises is the driver's."""
    await channel.basic_publish(
        envelope.body,
        exchange=address.exchange,
        routing_key=address.key,
        mandatory=address.mandatory,
        properties=properties_of(envelope, address),
    )


class Publisher:
    """Publishes on one channel with confirmations; nobody else does."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._long_ways = 0
        """Messages on the driver's way: they have their numbers and may wait, and none may overtake them."""

    async def publish(self, envelope: Envelope, address: Address) -> None:
        """Publish one message and wait until the broker has it; what it raises is the driver's."""
        if not self._long_ways and self._has_room(envelope) and is_plain(envelope, address):
            await self._begin(envelope, address)
            return
        self._long_ways += 1
        try:
            await publish_by_driver(self._channel, envelope, address)
        finally:
            self._long_ways -= 1

    def _has_room(self, envelope: Envelope) -> bool:
        """Tell whether a message can be handed over now, as one frame."""
        channel = self._channel
        return (
            len(envelope.body) < channel.max_content_size
            and not channel.is_closed
            and not channel.write_queue.full()
        )

    def _begin(self, envelope: Envelope, address: Address) -> "asyncio.Future[Any]":
        """Hand over a message, without waiting in between; return its confirmation to come."""
        channel, name = self._channel, envelope.message_id
        payload = plain_frames(envelope, address, channel=channel.number)
        channel.delivery_tag += 1
        tag = channel.delivery_tag
        confirmation = channel.create_future()
        channel.confirmations[tag] = confirmation
        channel.message_id_delivery_tag[name] = tag
        confirmation.add_done_callback(partial(self._forget, name, tag))
        channel.write_queue.put_nowait(ChannelFrame(payload=payload, should_close=False))
        return confirmation

    def _forget(self, name: str, tag: int, _: object) -> None:
        if self._channel.message_id_delivery_tag.get(name) == tag:
            del self._channel.message_id_delivery_tag[name]
