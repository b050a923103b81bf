"""Hears everything that is published at a broker, replies included: by RabbitMQ's own tracing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from tests.support.rabbit import RabbitNode
from tests.upgrade.recording import Heard


@asynccontextmanager
async def listening(node: RabbitNode, url: str, *, vhost: str = "/") -> AsyncIterator[list[Heard]]:
    """Yield a list that grows with each message, from now until the context is left."""
    await asyncio.to_thread(node.control, "trace_on", "-p", vhost)
    heard: list[Heard] = []
    async with await aio_pika.connect(url, timeout=10) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        await queue.bind("amq.rabbitmq.trace", "publish.#")

        async def keep(message: AbstractIncomingMessage) -> None:
            heard.append(_heard(message))

        await queue.consume(keep, no_ack=True)
        yield heard


def _heard(message: AbstractIncomingMessage) -> Heard:
    told: dict[str, Any] = dict(message.headers)
    return Heard(
        exchange=_text(told["exchange_name"]),
        routing_key=_text(told["routing_keys"][0]),
        properties=_plain(told["properties"]),
        body=message.body,
    )


def _plain(value: Any) -> Any:
    """Return a header's value as JSON has it."""
    match value:
        case dict():
            return {_text(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case bytes():
            return value.decode()
        case datetime():
            return value.isoformat()
        case _:
            return value


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
