"""Several owners who submit, repeat, cancel, wait and listen."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.client import Client, Heard
from tests.chaos.plan import Work

PROGRAM = """
import time


def run(task, userpub, params):
    for number in range(params["count"]):
        if params["kind"] != "silent":
            userpub.publish({"number": params["number"], "nth": number})
        if params["kind"] == "steady" and number % 7 == 0:
            print("line", number)
        time.sleep(params["pause"])
    if params["kind"] == "failing":
        raise ValueError("as it was told to")
    return {"number": params["number"], "square": params["number"] ** 2, "published": params["count"]}
"""


@dataclass
class Accepted:
    """A job that a gateway has answered for."""

    work: Work
    client: Client
    job_id: str
    ids: set[str]
    """The ids that its submissions were answered with."""
    heard: Heard | None
    first_end: dict[str, Any] | None = None
    """The first final answer anybody got."""


@dataclass
class Load:
    """All owners together."""

    clients: Sequence[Client]
    seed: int
    accepted: list[Accepted] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    """Answers that no fault explains."""

    async def run(self, plan: Sequence[Work]) -> None:
        """Submit all work and follow every job to its end."""
        programs = [await self._upload(client) for client in self.clients]
        async with asyncio.TaskGroup() as group:
            for owner, client in enumerate(self.clients):
                mine = [each for each in plan if each.owner == owner]
                group.create_task(self._submit_all(group, client, mine, programs[owner]))

    async def _upload(self, client: Client) -> dict[bool, str]:
        """Upload a program that may be tried often, and the same to be run once."""
        return {
            once: await self._program(client, name=f"chaos-{once}", max_attempts=1 if once else 20)
            for once in (False, True)
        }

    async def _program(self, client: Client, **more: Any) -> str:
        reply = await client.ask("POST", "/v1/programs", json={"source": PROGRAM, **more})
        assert reply.status_code == 201, reply.text
        program_id: str = reply.json()["id"]
        return program_id

    async def _submit_all(
        self, group: asyncio.TaskGroup, client: Client, plan: Sequence[Work], programs: dict[bool, str]
    ) -> None:
        for work in plan:
            await asyncio.sleep(work.delay)
            group.create_task(self._follow(client, work, programs[work.kind == "once"]))

    async def _follow(self, client: Client, work: Work, program: str) -> None:
        job_id = await self._submit(client, work, program)
        accepted = Accepted(work, client, job_id, {job_id}, Heard() if work.listened else None)
        self.accepted.append(accepted)
        if work.doubled:
            accepted.ids.add(await self._submit(client, work, program))
        async with asyncio.TaskGroup() as group:
            if accepted.heard:
                group.create_task(client.listen(job_id, accepted.heard))
            if work.kind == "cancelled":
                group.create_task(self._cancel(accepted))
            accepted.first_end = await client.ended(job_id)

    async def _submit(self, client: Client, work: Work, program: str) -> str:
        body = {"program_id": program, "input": work.params}
        key = {"Idempotency-Key": f"chaos-{self.seed}-{work.number}"}
        reply = await client.ask("POST", "/v1/jobs", json=body, headers=key)
        if reply.status_code not in (200, 201):
            self.odd.append(f"submission {work.number}: {reply.status_code} {reply.text}")
            raise AssertionError(self.odd[-1])
        job_id: str = reply.json()["id"]
        return job_id

    async def _cancel(self, accepted: Accepted) -> None:
        await asyncio.sleep(accepted.work.pause * 10)
        reply = await accepted.client.ask("POST", f"/v1/jobs/{accepted.job_id}/cancel")
        if reply.status_code != 200:
            self.odd.append(f"cancel {accepted.work.number}: {reply.status_code} {reply.text}")
