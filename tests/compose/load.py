"""Somebody who submits jobs, listens to them, reads their results without a pause, and forgives nothing."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.chaos.client import Heard

PROGRAM = """
import time

def run(task, userpub, params):
    for number in range(5):
        userpub.publish({"number": number})
        time.sleep(0.2)
    return params["number"] ** 2
"""
TRY_AGAIN = 1011
"""What a gateway that stops closes its streams with: clients come back."""
WAIT_SECONDS = 20


@dataclass
class Load:
    """Requests through the proxy, each sent once. Raises AssertionError for an answer that should not be."""

    http: httpx.AsyncClient
    program: str = ""
    jobs: list[str] = field(default_factory=list)
    requests: int = 0
    """How many were answered as they should be, streams included."""
    stopping: bool = False

    async def prepare(self) -> None:
        """Upload the program."""
        made = await self._ask("POST", "/v1/programs", 201, json={"name": "load", "source": PROGRAM})
        self.program = made["id"]

    async def run(self, *, at_once: int) -> None:
        """Go on until `stopping` is set, with this many jobs at once."""
        async with asyncio.TaskGroup() as group:
            for first in range(at_once):
                group.create_task(self._one_after_the_other(first, step=at_once))

    async def listed(self) -> dict[str, dict[str, Any]]:
        """Return the program's jobs by their ids."""
        found: dict[str, dict[str, Any]] = {}
        query: dict[str, Any] = {"limit": 500, "program_id": self.program}
        while True:
            page = await self._ask("GET", "/v1/jobs", 200, params=query)
            found |= {each["id"]: each for each in page["jobs"]}
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    async def _one_after_the_other(self, number: int, *, step: int) -> None:
        while not self.stopping:
            await self._whole_job(number)
            number += step

    async def _whole_job(self, number: int) -> None:
        body = {"program_id": self.program, "input": {"number": number}}
        job = (await self._ask("POST", "/v1/jobs", 201, json=body))["id"]
        self.jobs.append(job)
        heard, result = await asyncio.gather(self._listen(job), self._result(job))
        assert (result["status"], result["result"]) == ("SUCCEEDED", number**2), result
        assert not heard.faults, heard.faults
        interim = [each["data"] for each in heard.outputs if each["kind"] == "interim"]
        assert len(interim) == 5, heard.outputs

    async def _result(self, job: str) -> dict[str, Any]:
        while True:
            result = await self._ask("GET", f"/v1/jobs/{job}/result", 200, params={"wait": WAIT_SECONDS})
            if result["status"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return result

    async def _listen(self, job: str) -> Heard:
        heard = Heard()
        base = str(self.http.base_url).replace("http", "ws", 1).rstrip("/")
        headers = {"Authorization": self.http.headers["Authorization"]}
        while heard.end is None:
            place = f"?after={heard.number}&attempt={heard.attempt}" if heard.attempt else ""
            url = f"{base}/v1/jobs/{job}/stream{place}"
            async with connect(url, additional_headers=headers, open_timeout=30) as socket:
                self.requests += 1
                try:
                    async with asyncio.timeout(120):
                        async for text in socket:
                            heard.take(json.loads(text))
                except ConnectionClosed as closed:
                    if closed.rcvd is None or closed.rcvd.code != TRY_AGAIN:
                        raise AssertionError(f"a stream of {job} ended with {closed}") from None
        return heard

    async def _ask(self, method: str, path: str, expected: int, **more: Any) -> dict[str, Any]:
        reply = await self.http.request(method, path, **more)
        assert reply.status_code == expected, f"{method} {path}: {reply.status_code} {reply.text}"
        self.requests += 1
        body: dict[str, Any] = reply.json()
        return body
