"""A plain HTTP client for tests: no SDK between the test and the wire."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from qrt_contracts.ids import new_id
from tests.support.waiting import wait_until

FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}


@dataclass
class Api:
    """What tests do over `/v1`."""

    http: httpx.AsyncClient

    async def upload(self, source: str, name: str | None = None, **more: Any) -> dict[str, Any]:
        body = {"name": name or f"p-{new_id()}", "source": source, **more}
        reply = await self.http.post("/v1/programs", json=body)
        assert reply.status_code == 201, reply.text
        program: dict[str, Any] = reply.json()
        return program

    async def submit(self, program: dict[str, Any], value: Any = None, **more: Any) -> dict[str, Any]:
        body = {"program_id": program["id"], "input": value, **more}
        reply = await self.http.post("/v1/jobs", json=body)
        assert reply.status_code == 201, reply.text
        job: dict[str, Any] = reply.json()
        return job

    async def job(self, job: dict[str, Any]) -> dict[str, Any]:
        reply = await self.http.get(f"/v1/jobs/{job['id']}")
        assert reply.status_code == 200, reply.text
        seen: dict[str, Any] = reply.json()
        return seen

    async def result(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the final result document."""
        while True:
            reply = await self.http.get(f"/v1/jobs/{job['id']}/result", params={"wait": 55})
            assert reply.status_code == 200, reply.text
            result: dict[str, Any] = json.loads(reply.text)
            if result["status"] in FINAL:
                return result

    async def run(self, source: str, value: Any = None, **more: Any) -> dict[str, Any]:
        """Upload, run and return the final result document, with the log under `log`."""
        job = await self.submit(await self.upload(source, **more), value)
        result = await self.result(job)
        return result | {"log": await self.log(job), "job": job}

    async def log(self, job: dict[str, Any]) -> str:
        reply = await self.http.get(f"/v1/jobs/{job['id']}/logs")
        assert reply.status_code == 200, reply.text
        return reply.text

    async def outputs(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all outputs of an ended job."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            reply = await self.http.get(
                f"/v1/jobs/{job['id']}/outputs", params={"after": after, "attempt": job.get("attempt", 1)}
            )
            assert reply.status_code == 200, reply.text
            page = reply.json()
            found += page["outputs"]
            after = page["last"]
            if page["complete"]:
                return found

    async def until_running(self, job: dict[str, Any]) -> None:
        async def running() -> bool:
            return bool((await self.job(job))["status"] == "RUNNING")

        await wait_until(running, description=f"job {job['id']} to run", seconds=30)

    async def until_logged(self, job: dict[str, Any], text: str) -> None:
        async def logged() -> bool:
            return text in await self.log(job)

        await wait_until(logged, description=f"{text!r} in the log", seconds=30)
