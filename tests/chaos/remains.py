"""What must be gone when all is quiet: work in queues, outboxes, leases, attempts, processes."""

import json
import re
from typing import Any

import aio_pika
import httpx
from motor.motor_asyncio import AsyncIOMotorClient

from tests.chaos.tap import Tap
from tests.chaos.world import World

QUEUES = ("scheduler.dispatch", "scheduler.history", "scheduler.commands", "registry.commands")
DEAD = ("scheduler.dispatch.dead", "scheduler.history.dead", "transient.dead")
GAUGES = ("qrt_scheduler_queued_jobs", "qrt_scheduler_running_attempts")


async def remains(world: World, tap: Tap) -> list[str]:
    """Return what is left at this moment, one line each."""
    return [
        *await _in_queues(world),
        *await _in_store(world),
        *await _in_memory(world),
        *(
            f"executor {name} still runs {beat['running']}"
            for name, beat in tap.running.items()
            if beat["running"]
        ),
    ]


async def _in_queues(world: World) -> list[str]:
    found = []
    async with await aio_pika.connect(world.rabbit.url, timeout=10) as connection:
        for name in (*QUEUES, *DEAD):
            channel = await connection.channel()
            queue = await channel.declare_queue(name, passive=True)
            # Heartbeats come and go; all else must have been dealt with.
            allowed = 5 if name == "scheduler.dispatch" else 0
            count = queue.declaration_result.message_count or 0
            if count > allowed:
                found.append(f"{count} messages in {name}")
    return found


async def _in_store(world: World) -> list[str]:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(world.mongo.url, timeoutMS=10_000)
    try:
        jobs = client["scheduler"]["jobs"]
        found = []
        for query, what in (
            ({"outbox.token": {"$gt": ""}}, "outboxes"),
            ({"status": "RUNNING"}, "running jobs"),
            ({"status": "QUEUED"}, "queued jobs"),
        ):
            if count := await jobs.count_documents(query):
                found.append(f"{count} {what} in the store")
        return found
    finally:
        client.close()


async def _in_memory(world: World) -> list[str]:
    """The replica that dispatches tells what it remembers; the others' gauges stand where they stood."""
    snapshot = await _snapshot(world)
    found = [
        f"{name} by the dispatcher: {snapshot[name]}" for name in ("queued", "running") if snapshot[name]
    ]
    async with httpx.AsyncClient(timeout=10) as client:
        texts = [(await client.get(url)).text for url in world.metrics]
    for gauge in GAUGES:
        lines = [re.search(rf"^{gauge} ([0-9.e+]+)$", text, re.MULTILINE) for text in texts]
        values = [float(line[1]) for line in lines if line]
        if values and min(values) > 0:
            found.append(f"{gauge} is {values}")
    return found


async def _snapshot(world: World) -> dict[str, Any]:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(world.mongo.url, timeoutMS=10_000)
    try:
        stored = await client["scheduler"]["queue"].find_one({"_id": "snapshot"})
        assert stored is not None
        body: dict[str, Any] = json.loads(stored["body"])
        return body
    finally:
        client.close()
