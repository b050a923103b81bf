"""Captures messages at the broker, and sends some of them again, later and in another order."""

import asyncio
import contextlib
import json
import random
from collections import deque
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection

BINDINGS = (("qrt.events", "#"), ("qrt.work", "#"))
KEPT = 400


class Tap:
    """Listens to everything that is published."""

    def __init__(self, url: str, seed: int) -> None:
        self._url = url
        self._rng = random.Random(f"tap {seed}")
        self._kept: deque[tuple[str, str, AbstractIncomingMessage]] = deque(maxlen=KEPT)
        self._connection: AbstractRobustConnection | None = None
        self.repeated = 0
        self.running: dict[str, dict[str, Any]] = {}
        """The newest heartbeat of each executor."""

    async def listen(self) -> None:
        """Capture, for ever; a broker that is away is waited for."""
        while True:
            with contextlib.suppress(Exception):
                await self._listen_once()
            await asyncio.sleep(0.5)

    async def _listen_once(self) -> None:
        async with await aio_pika.connect(self._url, timeout=5, heartbeat=5) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(exclusive=True, auto_delete=True)
            for exchange, pattern in BINDINGS:
                await queue.bind(exchange, pattern)
            async with queue.iterator(no_ack=True) as messages:
                async for message in messages:
                    self._keep(message)

    def _keep(self, message: AbstractIncomingMessage) -> None:
        self._kept.append((message.exchange or "", message.routing_key or "", message))
        if (message.routing_key or "").endswith(".heartbeat"):
            body = json.loads(message.body)
            self.running[body["executor"]] = body

    async def repeat(self, count: int) -> None:
        """Publish up to `count` captured messages again, shuffled, each up to three times."""
        chosen = self._rng.sample(list(self._kept), min(count, len(self._kept)))
        again = [each for each in chosen for _ in range(self._rng.randint(1, 3))]
        self._rng.shuffle(again)
        with contextlib.suppress(Exception):
            async with await aio_pika.connect(self._url, timeout=5) as connection:
                channel = await connection.channel()
                for exchange, key, message in again:
                    target = await channel.get_exchange(exchange, ensure=False)
                    await target.publish(_copy(message), key, mandatory=False)
                    self.repeated += 1


def _copy(message: AbstractIncomingMessage) -> aio_pika.Message:
    return aio_pika.Message(
        message.body,
        headers=message.headers,
        content_type=message.content_type,
        delivery_mode=message.delivery_mode,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        timestamp=message.timestamp,
        expiration=message.expiration,
    )
