"""Taskiq: broker and task, for `taskiq worker benchmarks.peers.workers.taskiq:broker`.

Taskiq's client asks for results again and again, and its RabbitMQ broker keeps none. Here a worker sends them
to one queue, and whoever waits is told by it: nothing is asked in vain, and no other store is needed.
"""

import json
import os
from typing import Any

import aio_pika
from taskiq import AsyncResultBackend, TaskiqResult
from taskiq_aio_pika import AioPikaBroker

from benchmarks.peers import hello as program

URL = os.environ["PEER_BROKER"]
RESULTS = "peer.taskiq.results"


class SentBack(AsyncResultBackend[Any]):  # type: ignore[misc]
    """Sends each result to the queue `RESULTS`."""

    async def startup(self) -> None:
        """Connect."""
        self._connection = await aio_pika.connect(URL)
        self._channel = await self._connection.channel(publisher_confirms=False)

    async def shutdown(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def set_result(self, task_id: str, result: TaskiqResult[Any]) -> None:
        """Send a result."""
        body = json.dumps({"id": task_id, "failed": result.is_err, "value": result.return_value})
        await self._channel.default_exchange.publish(aio_pika.Message(body.encode()), routing_key=RESULTS)

    async def get_result(self, task_id: str, with_logs: bool = False) -> TaskiqResult[Any]:
        """Refuse: results come by the queue alone."""
        raise NotImplementedError

    async def is_result_ready(self, task_id: str) -> bool:
        """Refuse: results come by the queue alone."""
        raise NotImplementedError


broker = AioPikaBroker(URL, qos=1).with_result_backend(SentBack())


@broker.task  # type: ignore[untyped-decorator]
def hello() -> Any:
    """Run the hello program in this worker process."""
    return program.run()
