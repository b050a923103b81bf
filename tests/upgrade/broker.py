"""Publishes what was recorded, and hears what today's services say, over a real broker."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from qrt_contracts.ids import new_id
from tests.support.waiting import wait_until
from tests.upgrade.recording import Heard

EXCHANGES = ("qrt.events", "qrt.work", "qrt.commands")


def changed(heard: Heard, *, routing_key: str | None = None, **fields: Any) -> Heard:
    """Return a recorded message with other values of some fields, as its sender would have sent it."""
    body = json.dumps(heard.data | fields).encode()
    return replace(heard, body=body, routing_key=routing_key or heard.routing_key)


@dataclass
class Broker:
    """A client of its own at a broker."""

    channel: AbstractChannel
    replies: str
    """The queue that answers come to."""
    heard: list[Heard] = field(default_factory=list)
    """What was published since the beginning, by whoever it was."""
    asked: dict[str, asyncio.Future[bytes]] = field(default_factory=dict)

    async def publish(self, message: Heard, **properties: Any) -> None:
        """Publish a recorded message with the headers that it had then."""
        sent = aio_pika.Message(
            message.body,
            headers=message.headers,
            delivery_mode=message.properties.get("delivery_mode"),
            message_id=message.properties.get("message_id"),
            timestamp=datetime.now(UTC),
            **properties,
        )
        if message.exchange:
            exchange = await self.channel.get_exchange(message.exchange, ensure=False)
        else:
            exchange = self.channel.default_exchange
        await exchange.publish(sent, message.routing_key, mandatory=False)

    async def ask(self, command: Heard) -> dict[str, Any]:
        """Send a recorded command; return its answer: `reply` or `problem`."""
        identifier = new_id()
        got = self.asked[identifier] = asyncio.get_running_loop().create_future()
        asked = replace(command, properties={**command.properties, "message_id": identifier})
        await self.publish(asked, reply_to=self.replies)
        async with asyncio.timeout(30):
            answer: dict[str, Any] = json.loads(await got)
        return answer

    async def until(self, told: Callable[[Heard], bool], *, what: str) -> Heard:
        """Return the first message of which `told` is true, once there is one."""
        await wait_until(lambda: any(map(told, self.heard)), description=what, seconds=30)
        return next(filter(told, self.heard))


@asynccontextmanager
async def at_broker(url: str) -> AsyncIterator[Broker]:
    """Yield a client that hears everything from now on."""
    async with await aio_pika.connect(url, timeout=10) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        for name in EXCHANGES:
            await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
            await queue.bind(name, "#")
        answers = await channel.declare_queue(exclusive=True, auto_delete=True)
        broker = Broker(channel, answers.name)

        async def keep(message: AbstractIncomingMessage) -> None:
            properties: Mapping[str, Any] = {"headers": dict(message.headers)}
            broker.heard.append(
                Heard(message.exchange or "", message.routing_key or "", dict(properties), message.body)
            )

        async def answered(message: AbstractIncomingMessage) -> None:
            broker.asked.pop(message.correlation_id or "").set_result(message.body)

        await queue.consume(keep, no_ack=True)
        await answers.consume(answered, no_ack=True)
        yield broker
