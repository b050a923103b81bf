"""WebSockets on a job that publishes all the time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from benchmarks.load.account import Owner
from benchmarks.load.report import PERCENTILES, milliseconds

RATE = 20
"""Values a second."""
TRIES, BUSY = 10, 503
"""A gateway asks some of very many that come at once to come back in a second."""
LATEST = 1_000_000
"""Times that are kept."""


@dataclass
class Heard:
    """What all listeners together got."""

    listeners: int
    values: int = 0
    missing: int = 0
    """Numbers that were left out: there should be none."""
    broken: int = 0
    """Connections that were refused or ended early."""
    seconds: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return it as data; times are right where server and generator have the same clock."""
        ordered = sorted(self.seconds)
        times = {f"p{share}_ms": milliseconds(ordered, share) for share in PERCENTILES}
        counts = {"listeners": self.listeners, "values": self.values, "missing": self.missing}
        return counts | {"broken": self.broken} | times


@asynccontextmanager
async def listening(owner: Owner, count: int) -> AsyncIterator[Heard]:
    """Have a job of `owner` publish, and `count` WebSockets follow it, until the context is left."""
    heard = Heard(count)
    if not count:
        yield heard
        return
    body = {"program_id": owner.programs["ticker"], "input": {"rate": RATE}}
    async with owner.client.post("/v1/jobs", json=body, raise_for_status=True) as reply:
        job = (await reply.json())["id"]
    owner.jobs.append(job)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_follow(owner, job, heard)) for _ in range(count)]
            yield heard
            for task in tasks:
                task.cancel()
    finally:
        async with owner.client.post(f"/v1/jobs/{job}/cancel"):
            pass
        async with owner.client.get(f"/v1/jobs/{job}/result", params={"wait": 20}):
            pass


async def _follow(owner: Owner, job: str, heard: Heard) -> None:
    for _ in range(TRIES):
        try:
            async with owner.client.ws_connect(f"/v1/jobs/{job}/stream", heartbeat=20) as websocket:
                await _read(websocket, heard)
                break
        except WSServerHandshakeError as error:
            if error.status != BUSY:
                break
            await asyncio.sleep(1)
        except (ClientError, TimeoutError, OSError):
            break
    heard.broken += 1  # one that is not broken goes on until it is cancelled


async def _read(websocket: ClientWebSocketResponse, heard: Heard) -> None:
    opened, last = time.time_ns(), 0
    async for message in websocket:
        if message.type is not WSMsgType.TEXT:
            return
        frame = json.loads(message.data)
        for output in frame.get("outputs", ()):
            heard.missing += output["number"] - last - 1
            last = output["number"]
            heard.values += 1
            published = json.loads(output["data"])["t"]
            if published > opened and len(heard.seconds) < LATEST:  # what is read from history is not live
                heard.seconds.append((time.time_ns() - published) / 1e9)
