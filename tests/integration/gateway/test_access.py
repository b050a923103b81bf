"""The access matrix: every route, method, role, scope and relation, against running services."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.integration.gateway.access import ACTORS, FILLED, JOBS, PROGRAMS, RULES, Actor, Rule, Thing, cases
from tests.integration.gateway.platform import Platform, platform

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Clock:
    """The gateway's: a token expires when a test moves it."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Stage:
    """The platform with everything that the matrix names."""

    platform: Platform
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    """By the actor's name."""
    programs: dict[Thing, str] = field(default_factory=dict)
    jobs: dict[Thing, str] = field(default_factory=dict)

    async def target(self, operation: tuple[str, str], actor: Actor, thing: Thing | None) -> str:
        """Return the id to do something to; what would be gone or ended by it is made anew."""
        if thing is None or thing.kind == "group":
            return FILLED["id"]
        if RULES[operation].expected(actor, thing) in ((401,), (403,), (404,)):
            return self.programs[thing] if thing.kind == "program" else self.jobs[thing]
        if operation == ("DELETE", "/v1/programs/{id}"):
            return await self._program(thing)
        if operation == ("POST", "/v1/jobs/{id}/cancel"):
            return await self._job(thing)
        return self.programs[thing] if thing.kind == "program" else self.jobs[thing]

    async def set_up(self) -> None:
        for thing in PROGRAMS:
            self.programs[thing] = await self._program(thing)
        for thing in JOBS:
            self.jobs[thing] = await self._job(thing)

    async def _program(self, thing: Thing) -> str:
        groups = {"groups": ["team"]} if thing.shared == "group" else {}
        return await self.platform.program("alice", visibility=thing.shared, **groups)

    async def _job(self, thing: Thing) -> str:
        job = await self.platform.job("alice", self.programs[PROGRAMS[0]])
        if thing.shared == "group":
            body = {"groups": ["team"], "accounts": ["nora"]}
            await self.platform.clients["alice"].put(f"/v1/jobs/{job}/shares", json=body)
        return job


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(mongo_url: str) -> AsyncIterator[Stage]:
    """Every actor with its token."""
    clock = Clock()
    async with platform(mongo_url, clock=clock) as running:
        await running.admin.post("/v1/groups", json={"name": "team"})
        for actor in ACTORS:
            if actor.account and actor.account not in running.clients:
                await running.account(actor.account, role=actor.role, groups=["team"] if actor.team else [])
        whole = Stage(running)
        await whole.set_up()
        for actor in ACTORS:
            whole.clients[actor.name] = await _client(running, actor)
        clock.ahead = timedelta(hours=1)
        yield whole


async def _client(running: Platform, actor: Actor) -> httpx.AsyncClient:
    if not actor.account:
        client = await running.client(actor.name, "nobody-has-this")
        if actor.name == "nobody":
            del client.headers["authorization"]
        return client
    own = running.clients[actor.account]
    if actor.narrowed is not None:
        return await running.narrowed(actor.account, *actor.narrowed)
    if actor.name == "disabled account":
        await running.admin.patch("/v1/accounts/dora", json={"disabled": True})
    if actor.valid or actor.name == "disabled account":
        return own
    expires = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
    issued = (await own.post("/v1/tokens", json={"expires_at": expires})).json()
    if actor.name == "revoked token":
        await own.delete(f"/v1/tokens/{issued['id']}")
    return await running.client(actor.name, issued["token"])


def operations(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }


async def test_every_operation_is_answered_as_the_callers_rights_say(stage: Stage) -> None:
    document = (await stage.platform.admin.get("/openapi.json")).json()
    served = operations(document)
    assert not served - RULES.keys(), "say in access.py who may use these"
    wrong: list[str] = []
    for operation in sorted(served):
        answers = [_judged(stage, operation, actor, thing) for actor, thing in cases(RULES[operation])]
        wrong += [each for each in await asyncio.gather(*answers) if each]
    assert not wrong, "\n".join(wrong)


async def test_the_document_says_which_scopes_are_needed(stage: Stage) -> None:
    document = (await stage.platform.admin.get("/openapi.json")).json()
    for method, path in operations(document):
        said = document["paths"][path][method.lower()]["security"][0]["bearer"]
        rule = RULES[method, path]
        if said:
            assert said == [rule.scope], (method, path)
        else:
            assert rule.scope is None or path.startswith("/v1/accounts/{name}/tokens"), (method, path)


async def _judged(stage: Stage, operation: tuple[str, str], actor: Actor, thing: Thing | None) -> str | None:
    """Return what is wrong with an answer, None if nothing is."""
    (method, path), rule = operation, RULES[operation]
    filled = FILLED | {"id": await stage.target(operation, actor, thing)} | dict(rule.path)
    url, client = path.format(**filled), stage.clients[actor.name]
    body = rule.bodies[thing.shared] if thing and rule.bodies else rule.body
    async with client.stream(method, url, json=body, params=dict(rule.query)) as reply:
        status = reply.status_code
        # A stream of a job that waits has no end; a refusal has.
        text = "" if reply.is_success else (await reply.aread()).decode()
    expected = rule.expected(actor, thing)
    what = f"{method} {url} by {actor.name}" + (f" on a {thing.shared} {thing.kind}" if thing else "")
    if status not in expected:
        return f"{what}: {status}, not {expected}: {text}"
    hidden = thing is not None and actor.valid and status == 404 and not thing.seen_by(actor)
    if hidden and "or " not in text:
        return f"{what}: is told more than that there may be nothing: {text}"
    if status == 403 and rule.scope and rule.scope not in actor.scopes and f"'{rule.scope}'" not in text:
        return f"{what}: is not told that {rule.scope} is missing: {text}"
    return None


OTHERS: dict[tuple[str, str], Rule] = {
    ("GET", "/services/{program}"): Rule("read", PROGRAMS),
    ("POST", "/services/{program}"): Rule("run", PROGRAMS, body={}, ok=(201,)),
    ("GET", "/services/{run}/{id}"): Rule("read", JOBS),
    ("GET", "/services/{run}/{id}/log"): Rule("read", JOBS),
    ("GET", "/runtime/program?program_id={program}"): Rule("read", PROGRAMS),
    ("POST", "/runtime/program_update"): Rule("write", PROGRAMS, owner=True),
    ("POST", "/runtime/programs_upload"): Rule("write", body={}, ok=(406,)),
    ("POST", "/runtime/programs_run_deploy"): Rule("run", body={}, ok=(405,)),
    ("GET", "/runtime/job_status?job_id={id}"): Rule("read", JOBS),
    ("GET", "/runtime/job_logs?job_id={id}"): Rule("read", JOBS),
    ("GET", "/runtime/job_delete?job_id={id}"): Rule("run", JOBS, owner=True),
}
"""Of the surfaces for other clients, by the statuses that they give."""


async def test_the_other_surfaces_obey_the_same_rights(stage: Stage) -> None:
    wrong: list[str] = []
    for operation, rule in OTHERS.items():
        answers = [_obeyed(stage, operation, actor, thing) for actor, thing in cases(rule)]
        wrong += [each for each in await asyncio.gather(*answers) if each]
    assert not wrong, "\n".join(wrong)


async def _obeyed(stage: Stage, operation: tuple[str, str], actor: Actor, thing: Thing | None) -> str | None:
    (method, path), rule = operation, OTHERS[operation]
    program = stage.programs.get(thing or PROGRAMS[0]) or stage.programs[PROGRAMS[0]]
    ran = stage.programs[PROGRAMS[0]]
    url = path.format(program=program, run=ran, id=stage.jobs.get(thing or JOBS[0], ""))
    body = {"program_id": program} if path == "/runtime/program_update" else rule.body
    reply = await stage.clients[actor.name].request(method, url, json=body)
    enveloped = path.startswith("/runtime")
    status = reply.json()["status"] if enveloped else reply.status_code
    expected = rule.expected(actor, thing)
    if enveloped and expected == (401,):
        expected = (201,)  # the number that these clients know
    return None if status in expected else f"{method} {url} by {actor.name}: {status}, not {expected}"


async def test_streams_open_for_those_who_may_read(stage: Stage) -> None:
    url = f"{stage.platform.gateway.url.replace('http', 'ws', 1)}/v1/jobs/{stage.jobs[JOBS[1]]}/stream"
    rule = Rule("read", JOBS, ok=(101,))
    for actor in ACTORS:
        token = stage.clients[actor.name].headers.get("authorization")
        headers = {"Authorization": token} if token else {}
        try:
            async with connect(url, additional_headers=headers):
                status = 101
        except InvalidStatus as refused:
            status = refused.response.status_code
        assert status in rule.expected(actor, JOBS[1]), actor.name
