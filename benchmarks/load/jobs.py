"""One arrival from its submission to its end."""

import time
from typing import Any

from aiohttp import ClientError, ClientResponse

from benchmarks.load.account import Owner
from benchmarks.load.programs import SOURCES, changed
from benchmarks.load.report import Sample

ENDS = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELLED": "failed"}
WAIT_SECONDS = 55
BUSY = (429, 503)
"""The server says that it takes no more for now."""


class Refused(Exception):
    """An answer that is none."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}".strip())
        self.status = status


async def fire(sample: Sample, owner: Owner, *, number: int) -> None:
    """Send one job and follow it to its end; what happens to it is written into `sample`."""
    sample.sent = time.monotonic()
    try:
        if sample.kind == "uploads":
            await _upload(owner, number)
        job = await _submit(owner, sample.kind)
        sample.accepted = time.monotonic()
        sample.outcome, sample.reason = await _end(owner, job)
        sample.ended = time.monotonic()
    except Refused as refused:
        sample.outcome = "rejected" if refused.status in BUSY else "error"
        sample.reason = str(refused)
    except (ClientError, TimeoutError, OSError) as error:
        sample.outcome, sample.reason = "error", type(error).__name__


async def _upload(owner: Owner, number: int) -> None:
    body = {"source": changed(SOURCES["uploads"], number)}
    async with owner.client.post(f"/v1/programs/{owner.programs['uploads']}/versions", json=body) as reply:
        await _answer(reply)


async def _submit(owner: Owner, kind: str) -> str:
    async with owner.client.post("/v1/jobs", json={"program_id": owner.programs[kind]}) as reply:
        job: str = (await _answer(reply))["id"]
        owner.jobs.append(job)
        return job


async def _end(owner: Owner, job: str) -> tuple[str, str]:
    """Return a job's outcome and why it failed."""
    while True:
        async with owner.client.get(f"/v1/jobs/{job}/result", params={"wait": WAIT_SECONDS}) as reply:
            found = await _answer(reply)
        if found["status"] in ENDS:
            problem = found.get("problem")
            return ENDS[found["status"]], f"job: {problem['code']}" if problem else ""


async def _answer(reply: ClientResponse) -> dict[str, Any]:
    if reply.status < 300:
        body: dict[str, Any] = await reply.json()
        return body
    code = ""
    if reply.content_type == "application/problem+json":
        code = str((await reply.json(content_type=None)).get("code", ""))
    raise Refused(reply.status, code)
