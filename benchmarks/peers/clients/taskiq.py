"""Taskiq's client. Runs in `.venv/bench`."""

import asyncio
import json

import aio_pika

from benchmarks.peers.driven import drive
from benchmarks.peers.workers.taskiq import RESULTS, URL, broker, hello

LOST_SECONDS = 20.0


async def main() -> None:
    """Serve standard input."""
    waiting: dict[str, asyncio.Future[bool]] = {}

    def result_of(task_id: str) -> asyncio.Future[bool]:
        if task_id not in waiting:
            waiting[task_id] = asyncio.get_running_loop().create_future()
        return waiting[task_id]

    async def came(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        told = json.loads(message.body)
        if told["failed"]:
            raise SystemExit("the task failed")
        result_of(told["id"]).set_result(True)  # perhaps before the client knows the task's id

    async def one() -> bool:
        task = await hello.kiq()
        try:
            return await asyncio.wait_for(result_of(task.task_id), LOST_SECONDS)
        except TimeoutError:
            return False
        finally:
            waiting.pop(task.task_id, None)

    async with await aio_pika.connect(URL) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(RESULTS, auto_delete=True)
        await queue.consume(came, no_ack=True)
        await broker.startup()
        await drive(one)
        await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
