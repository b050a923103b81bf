"""A client that fails over between gateways and repeats what it may repeat."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, WebSocketException

PASSING = {429, 500, 502, 503, 504}
RETRY_SECONDS = 0.3
PATIENCE = 3
"""Reads in a row that bring nothing, each of which waits for seconds, before outputs count as missing."""


@dataclass
class Client:
    """One owner's."""

    https: list[httpx.AsyncClient]
    token: str
    rng: random.Random
    refused: dict[int, int] = field(default_factory=dict)
    """Answers that said to try again, by status."""

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask any gateway until one of them answers for good."""
        while True:
            with contextlib.suppress(httpx.TransportError):
                reply = await self.rng.choice(self.https).request(method, path, **more)
                if reply.status_code not in PASSING:
                    return reply
                self.refused[reply.status_code] = self.refused.get(reply.status_code, 0) + 1
            await asyncio.sleep(RETRY_SECONDS)

    async def job(self, job_id: str) -> dict[str, Any] | None:
        """Return a job, None if there is none."""
        reply = await self.ask("GET", f"/v1/jobs/{job_id}")
        return reply.json() if reply.status_code == 200 else None

    async def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs of the owner."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": 500}
        while True:
            page = (await self.ask("GET", "/v1/jobs", params=query)).json()
            found += page["jobs"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    async def ended(self, job_id: str) -> dict[str, Any]:
        """Return a job's result once it has ended."""
        while True:
            reply = await self.ask("GET", f"/v1/jobs/{job_id}/result", params={"wait": 15})
            body: dict[str, Any] = json.loads(reply.text)
            if reply.status_code != 200 or body["status"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return body | {"http": reply.status_code}

    async def outputs(self, job_id: str, attempt: int) -> list[dict[str, Any]]:
        """Return the stored outputs of an ended job's newest attempt; all there are if some never come."""
        found: list[dict[str, Any]] = []
        after = fruitless = 0
        while fruitless < PATIENCE:
            query = {"after": after, "attempt": attempt}
            page = (await self.ask("GET", f"/v1/jobs/{job_id}/outputs", params=query)).json()
            fruitless = 0 if page["outputs"] else fruitless + 1
            found += page["outputs"]
            after = page["last"]
            if page["complete"]:
                break
        return found

    async def listen(self, job_id: str, heard: "Heard") -> None:
        """Follow a job to its end, coming back after each break where the last one left off."""
        while heard.end is None:
            base = str(self.rng.choice(self.https).base_url).replace("http", "ws", 1).rstrip("/")
            place = f"?after={heard.number}&attempt={heard.attempt}" if heard.attempt else ""
            headers = {"Authorization": f"Bearer {self.token}"}
            with contextlib.suppress(OSError, WebSocketException, InvalidHandshake, TimeoutError):
                url = f"{base}/v1/jobs/{job_id}/stream{place}"
                async with connect(url, additional_headers=headers, open_timeout=10) as socket:
                    async for text in socket:
                        heard.take(json.loads(text))
                        if self.rng.random() < 0.02:
                            break  # listeners come and go
            await asyncio.sleep(RETRY_SECONDS)


@dataclass
class Heard:
    """What one listener was told."""

    attempt: int = 0
    number: int = 0
    outputs: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None
    faults: list[str] = field(default_factory=list)

    def take(self, frame: dict[str, Any]) -> None:
        """Take in a frame, and note what is wrong with it."""
        if frame["type"] == "attempt":
            self._enter(frame["attempt"])
        elif frame["type"] == "outputs":
            self._take_outputs(frame)
        elif frame["type"] == "end":
            self.end = frame

    def _enter(self, attempt: int) -> None:
        if attempt < self.attempt:
            self.faults.append(f"attempt {attempt} after {self.attempt}")
        if attempt != self.attempt:
            self.attempt, self.number, self.outputs = attempt, 0, []

    def _take_outputs(self, frame: dict[str, Any]) -> None:
        self._enter(frame["attempt"])
        for each in frame["outputs"]:
            if each["number"] != self.number + 1:
                self.faults.append(f"output {each['number']} after {self.number}, attempt {self.attempt}")
            self.number = each["number"]
            self.outputs.append(each)


@asynccontextmanager
async def client(urls: list[str], token: str, seed: str) -> AsyncIterator[Client]:
    """Open one owner's client."""
    headers = {"Authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=None)
    https = [httpx.AsyncClient(base_url=url, headers=headers, timeout=40, limits=limits) for url in urls]
    try:
        yield Client(https, token, random.Random(seed))
    finally:
        await asyncio.gather(*(each.aclose() for each in https))
