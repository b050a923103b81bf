"""One of everything that users and operators can make, by HTTP alone: any release's gateway will do.

What a release does not have yet is left out, and does not stand in the facts.
"""

import base64
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.projects import archive, project
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.upgrade import programs

ALICE, BOB = "alices-token", "bobs-token"
BOOTSTRAP = f"alice={ALICE},bob={BOB}"
SLOTS = 3
RUN_SECONDS = 9.0
"""How long after they were submitted the running jobs run: the dump is made meanwhile."""


@dataclass
class Making:
    """What is being made; `facts` tells of it."""

    api: Api
    bob: Api
    facts: dict[str, Any] = field(default_factory=dict)

    async def has(self, path: str) -> bool:
        """Tell whether this release serves a path at all."""
        return (await self.api.http.get(path)).status_code != 404

    async def post(self, path: str, **json: Any) -> dict[str, Any]:
        reply = await self.api.http.post(path, json=json)
        assert reply.is_success, f"{path}: {reply.text}"
        found: dict[str, Any] = reply.json() if reply.content else {}
        return found

    async def everything(self, hooks: str) -> None:
        """Make all but what runs and waits at the end."""
        await self._accounts()
        await self._programs()
        if await self.has("/v1/webhooks"):
            await self._webhooks(hooks)
        await self._jobs()
        await self._service()
        await self._questions()

    async def _accounts(self) -> None:
        tokens = {"alice": ALICE, "bob": BOB}
        tokens["carol"] = (await self.post("/v1/accounts", name="carol"))["token"]
        named = await self.post("/v1/tokens", name="a second one")
        tokens["alice again"] = named["token"]
        revoked = await self.post("/v1/tokens", name="revoked")
        assert (await self.api.http.delete(f"/v1/tokens/{revoked['id']}")).status_code == 204
        client = await self.post("/v1/clients", name="kipu")
        self.facts |= {"tokens": tokens, "revoked": revoked["token"]}
        self.facts["client"] = {"id": client["id"], "secret": client["secret"]}
        kept = await self.api.http.put("/v1/account/credentials/quafu", json={"token": "a-clouds-token"})
        assert kept.is_success, kept.text
        if await self.has("/v1/groups"):
            await self._newer_accounts()

    async def _newer_accounts(self) -> None:
        await self.post("/v1/groups", name="lab")
        for name in ("bob", "carol"):
            reply = await self.api.http.put(f"/v1/groups/lab/members/{name}")
            assert reply.status_code == 204, reply.text
        viewer = await self.post("/v1/accounts", name="vera", role="viewer")
        disabled = await self.post("/v1/accounts", name="dora")
        reply = await self.api.http.patch("/v1/accounts/dora", json={"disabled": True})
        assert reply.is_success, reply.text
        narrow = await self.post("/v1/tokens", name="narrow", scopes=["read"], requests_per_second=50)
        self.facts["groups"] = {"lab": ["bob", "carol"]}
        self.facts["disabled"] = disabled["token"]
        self.facts["read only"] = narrow["token"]
        self.facts["tokens"]["vera"] = viewer["token"]

    async def _programs(self) -> None:
        made = {}
        made["adds"] = await self.api.upload(programs.ADDS, "adds", visibility="public", description="Adds.")
        await self.post(f"/v1/programs/{made['adds']['id']}/versions", source=programs.ADDS_AGAIN)
        made["waits"] = await self.api.upload(programs.WAITS, "waits")
        made["once"] = await self.api.upload(programs.WAITS, "once", max_attempts=1)
        made["limited"] = await self.api.upload(programs.WAITS, "limited", quota={"running": 1})
        made["fails"] = await self.api.upload(programs.FAILS, "fails")
        limits = {"wall_seconds": 0.5}
        made["never ends"] = await self.api.upload(programs.NEVER_ENDS, "never ends", limits=limits)
        made["stays"] = await self.api.upload(programs.NEVER_ENDS, "stays")
        made["measures"] = await self.api.upload(programs.MEASURES, "measures")
        made["secret"] = await self.api.upload(programs.TELLS_SECRET, "secret")
        deleted = await self.api.upload(programs.FAILS, "deleted")
        assert (await self.api.http.delete(f"/v1/programs/{deleted['id']}")).status_code == 204
        patched = await self.api.http.patch(
            f"/v1/programs/{made['fails']['id']}", json={"description": "Fails.", "cost": 1.5}
        )
        assert patched.is_success, patched.text
        needs = {"requirements.txt": "plain==1.0\n"}
        made["project"] = await self._uploaded(project(programs.PROJECT, needs), name="project")
        made["bare"] = await self._uploaded(project(programs.BARE), name="bare")
        lacking = {"requirements.txt": "there-is-none==1\n"}
        made["broken"] = await self._uploaded(project(programs.PROJECT, lacking), name="broken")
        image = {"Dockerfile": programs.DOCKERFILE.encode(), "run": b"#!/bin/sh\n"}
        made["built"] = await self._uploaded(archive(image), name="built", kind="container")
        made["image"] = await self.post("/v1/programs", name="image", image="registry.example/team/it:1")
        for name, state in (("project", "ready"), ("bare", "ready"), ("broken", "failed")):
            await self._until_built(made[name]["id"], state)
        if "groups" in self.facts:
            shared = {"name": "shared", "source": programs.ADDS, "visibility": "group", "groups": ["lab"]}
            reply = await self.bob.http.post("/v1/programs", json=shared)
            assert reply.status_code == 201, reply.text
            made["shared"] = reply.json()
        self.facts["programs"] = {name: each["id"] for name, each in made.items()}

    async def _uploaded(self, content: bytes, **fields: str) -> dict[str, Any]:
        files = {"archive": ("project.zip", content)}
        reply = await self.api.http.post("/v1/programs", data=fields, files=files)
        assert reply.status_code == 201, reply.text
        found: dict[str, Any] = reply.json()
        return found

    async def _until_built(self, program_id: str, state: str) -> None:
        async def built() -> bool:
            reply = await self.api.http.get(f"/v1/programs/{program_id}/versions/latest")
            return bool(reply.json()["build"]["state"] == state)

        await wait_until(built, description=f"a build to be {state}", seconds=60)

    async def _webhooks(self, url: str) -> None:
        reached = await self.post("/v1/webhooks", url=url)
        refused = await self.post("/v1/webhooks", url="http://127.0.0.1:9/nobody", description="away")
        self.facts["webhooks"] = {
            "reached": {"id": reached["id"], "secret": reached["secret"]},
            "away": {"id": refused["id"], "secret": refused["secret"]},
        }

    def program(self, name: str) -> dict[str, Any]:
        return {"id": self.facts["programs"][name]}

    async def _jobs(self) -> None:
        """Jobs that end before the dump."""
        jobs = {}
        small = {"values": [1, 2, 3]}
        jobs["succeeded"] = await self.api.submit(self.program("adds"), small, tags=["kept", "old"])
        large = {"values": [1], "length": 200_000, "note": "x" * 300_000}
        jobs["large"] = await self.api.submit(self.program("adds"), large, version=1)
        jobs["failed"] = await self.api.submit(self.program("fails"), {"x": 1})
        jobs["limit"] = await self.api.submit(self.program("never ends"))
        jobs["measured"] = await self.api.submit(self.program("measures"), seed=7)
        jobs["files"] = await self.api.submit(
            self.program("project"), {"data": {"values": [1.5, 2]}, "note": "kept"}
        )
        body = {"program_id": self.facts["programs"]["secret"], "secrets": {"ibmToken": programs.SECRET}}
        reply = await self.api.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "once"})
        assert reply.status_code == 201, reply.text
        jobs["secret"] = reply.json()
        running = await self.api.submit(self.program("stays"))
        await self.api.until_logged(running, "on")
        await self.post(f"/v1/jobs/{running['id']}/cancel")
        jobs["cancelled"] = running
        deleted = await self.api.submit(self.program("fails"))
        for job in (*jobs.values(), deleted):
            await self.api.result(job)
        assert (await self.api.http.delete(f"/v1/jobs/{deleted['id']}")).status_code == 204
        self.facts["jobs"] = {name: job["id"] for name, job in jobs.items()}
        if "groups" in self.facts:
            shares = {"groups": ["lab"], "accounts": ["vera"]}
            reply = await self.api.http.put(f"/v1/jobs/{jobs['succeeded']['id']}/shares", json=shares)
            assert reply.is_success, reply.text

    async def _service(self) -> None:
        """An execution of a service, by an OAuth2 client's token."""
        known = self.facts["client"]
        basic = base64.b64encode(f"{known['id']}:{known['secret']}".encode()).decode()
        reply = await self.api.http.post(
            "/token", data={"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {basic}"}
        )
        assert reply.status_code == 200, reply.text
        headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}
        given = {"data": {"values": [4]}, "$tags": ["service"]}
        started = await self.api.http.post("/services/project", json=given, headers=headers)
        assert started.status_code == 201, started.text
        execution = started.json()["id"]
        self.facts["execution"] = execution
        await self.api.result({"id": execution.replace("-", "")})

    async def _questions(self) -> None:
        """Ask for everything once, so that each command and its reply is heard."""
        facts = self.facts
        job, program = facts["jobs"]["succeeded"], facts["programs"]["project"]
        for path in (
            "/v1/programs", "/v1/jobs?tag=kept", "/v1/executors", "/v1/backends", f"/v1/jobs/{job}",
            f"/v1/jobs/{job}/outputs", f"/v1/programs/{program}/versions",
            f"/v1/programs/{program}/versions/1/build?after=0",
            f"/v1/programs/{facts['programs']['adds']}/source",
        ):  # fmt: skip
            await self.api.http.get(path)

    async def standing(self) -> None:
        """Jobs that run and wait when the databases are dumped."""
        jobs, until = self.facts["jobs"], {"until": time.time() + RUN_SECONDS}
        for name in ("waits", "once", "limited"):
            jobs[f"running {name}"] = (await self.api.submit(self.program(name), until))["id"]
        for name in ("waits", "once", "limited"):
            await self.api.until_logged({"id": jobs[f"running {name}"]}, "begun")
        jobs["queued limited"] = (await self.api.submit(self.program("limited"), until))["id"]
        queued = await self.api.submit(
            self.program("adds"), {"values": [40, 2]}, priority=5, tags=["waiting"]
        )
        jobs["queued adds"] = queued["id"]
        jobs["queued bare"] = (await self.api.submit(self.program("bare"), {"values": [7]}))["id"]
        given = {"program_id": self.facts["programs"]["secret"], "secrets": {"ibmToken": programs.SECRET}}
        jobs["queued secret"] = (await self.post("/v1/jobs", **given))["id"]
        cancelled = await self.api.submit(self.program("fails"))
        await self.post(f"/v1/jobs/{cancelled['id']}/cancel")
        jobs["cancelled queued"] = cancelled["id"]
        if "webhooks" in self.facts:
            await self._until_delivered()

    async def _until_delivered(self) -> None:
        async def tried() -> bool:
            seen = []
            for each in self.facts["webhooks"].values():
                reply = await self.api.http.get(f"/v1/webhooks/{each['id']}/deliveries")
                seen.append({one["status"] for one in reply.json()["deliveries"] if one["attempts"]})
            return "delivered" in seen[0] and "pending" in seen[1]

        await wait_until(tried, description="deliveries", seconds=20)

    async def endings(self) -> None:
        """Let what runs come to its end, and drain the executor where that can be asked for."""
        jobs = self.facts["jobs"]
        await self.post(f"/v1/jobs/{jobs['running once']}/cancel")
        for name in ("running once", "running waits", "running limited"):
            await self.api.result({"id": jobs[name]})
        for name in ("queued limited", "queued adds", "queued bare", "queued secret"):
            await self.api.result({"id": jobs[name]})
        reply = await self.api.http.post("/v1/executors/executor-1/drain")
        if reply.status_code == 202:
            await self._until_drained()
        self.facts["drains"] = reply.status_code == 202

    async def _until_drained(self) -> None:
        async def drained() -> bool:
            listed = (await self.api.http.get("/v1/executors")).json()["executors"]
            return any(each["draining"] for each in listed)

        await wait_until(drained, description="the executor drains")


@asynccontextmanager
async def making(url: str) -> AsyncIterator[Making]:
    """Yield what makes things at a gateway."""
    async with _client(url, ALICE) as alice, _client(url, BOB) as bob:
        yield Making(Api(alice), Api(bob))


def _client(url: str, token: str) -> httpx.AsyncClient:
    headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=90)
