"""What live outputs are compared with: RabbitMQ to WebSockets with nothing in between.

No history, no numbers, no accounts, no bounds: a message that arrives is sent to every connection, one
after the other. `serve` is the server, `publish` the publisher; each is a process of its own.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

EXCHANGE = "bench.bare"
PATH = "/stream"


def application(rabbit: str) -> Starlette:
    """Return the server."""
    listeners: set[WebSocket] = set()

    async def stream(websocket: WebSocket) -> None:
        await websocket.accept()
        listeners.add(websocket)
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            listeners.discard(websocket)

    async def arrived(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        text = message.body.decode()
        for websocket in tuple(listeners):
            try:
                await websocket.send_text(text)
            except (WebSocketDisconnect, RuntimeError):
                listeners.discard(websocket)

    @asynccontextmanager
    async def consuming(_: Starlette) -> AsyncIterator[None]:
        async with await aio_pika.connect(rabbit) as connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=1024)
            exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.FANOUT)
            queue = await channel.declare_queue(exclusive=True)
            await queue.bind(exchange)
            await queue.consume(arrived, no_ack=True)
            yield

    return Starlette(routes=[WebSocketRoute(PATH, stream)], lifespan=consuming)


async def publish(rabbit: str, *, rate: float, count: int, delay: float) -> None:
    """Publish `count` messages, `rate` of them a second; 0 is as fast as possible."""
    async with await aio_pika.connect(rabbit) as connection:
        channel = await connection.channel(publisher_confirms=False)
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.FANOUT)
        await asyncio.sleep(delay)
        began = time.monotonic()
        for number in range(1, count + 1):
            body = json.dumps({"t": time.time_ns()}).encode()
            await exchange.publish(aio_pika.Message(body), "")
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()) if rate else 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["serve", "publish"])
    parser.add_argument("--rabbit", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0)
    given = parser.parse_args()
    if given.part == "publish":
        asyncio.run(publish(given.rabbit, rate=given.rate, count=given.count, delay=given.delay))
        return
    uvicorn.run(
        application(given.rabbit),
        port=given.port,
        log_level="warning",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
    )


if __name__ == "__main__":
    main()
