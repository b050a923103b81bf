"""The Quafu surface over HTTP, in both dialects, with everything behind it in memory."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from qrt_contracts.faults import Problem
from qrt_contracts.ids import new_id
from qrt_contracts.states import JobState
from qrt_contracts.values import Payload, Visibility
from qrt_gateway.quafu.endpoint import escaped
from tests.support.quafu_replay import replay
from tests.support.waiting import wait_until
from tests.unit.gateway.world import TOKEN, World, world

pytestmark = pytest.mark.quafu

BASES = {"enveloped": "", "bare": "/compat/quafu-a"}


class FakeRun:
    """Drives a recording: the scheduler's fake brings jobs where the recording says."""

    token = TOKEN

    def __init__(self, gateway: World) -> None:
        self._gateway = gateway
        self._http = gateway.client(None)

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        request = self._http.build_request(method, "http://gateway" + path, headers=headers, content=body)
        reply = await self._http.send(request)
        return reply.status_code, reply.headers, reply.content

    async def until(self, state: str, job_id: str) -> None:
        scheduler = self._gateway.scheduler
        if state == "RUNNING":
            await scheduler.change(job_id, status=JobState.RUNNING, attempt=1)
            return
        if scheduler.jobs[job_id].status is JobState.QUEUED:
            await scheduler.change(job_id, status=JobState.RUNNING, attempt=1)
        await scheduler.output(job_id, "Hello World! {'TestParam1': 'xxxxxx'}\n")
        if state == "ERROR":
            problem = Problem(code="ProgramError", title="t", detail="ValueError: told to fail")
            await scheduler.end(job_id, status=JobState.FAILED, result=None, problem=problem)
        else:
            await scheduler.end(job_id, result='{"result": {"TestParam1": "xxxxxx"}}')


@pytest.mark.parametrize("dialect", BASES)
async def test_a_recorded_conversation_is_answered_to_the_letter(gateway: World, dialect: str) -> None:
    await replay(dialect, FakeRun(gateway))


async def ask(gateway: World, method: str, path: str, **more: Any) -> httpx.Response:
    return await gateway.http.request(method, "http://gateway" + path, **more)


@pytest.mark.parametrize("base", BASES.values())
async def test_a_get_that_deletes_does_so_for_no_other_method(gateway: World, base: str) -> None:
    job_id = new_id()
    gateway.scheduler.add(job_id, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.end(job_id)
    for method in ("HEAD", "OPTIONS", "POST", "DELETE"):
        reply = await ask(gateway, method, f"{base}/runtime/job_delete?job_id={job_id}")
        assert reply.status_code == 405
    assert job_id in gateway.scheduler.jobs
    reply = await ask(gateway, "GET", f"{base}/runtime/job_delete?job_id={job_id}")
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    assert job_id not in gateway.scheduler.jobs


@pytest.mark.parametrize("base", BASES.values())
async def test_a_wait_is_answered_by_the_end_of_the_job(gateway: World, base: str) -> None:
    job_id = new_id()
    gateway.scheduler.add(job_id, status=JobState.RUNNING, attempt=1)
    waiting = asyncio.ensure_future(
        ask(gateway, "POST", f"{base}//runtime/get_result_wait", json={"job_id": job_id})
    )
    await wait_until(lambda: gateway.live._states, description="the request listens")
    assert not waiting.done()
    await gateway.scheduler.end(job_id, result="[1, 2]")
    body = (await waiting).json()
    assert body.get("data", body)["result"] == "[1, 2]"


async def test_a_wait_over_the_cap_answers_where_the_job_stands() -> None:
    async with world(quafu_wait_seconds=0.05) as gateway:
        job_id = new_id()
        gateway.scheduler.add(job_id, status=JobState.RUNNING, attempt=1)
        reply = await ask(gateway, "POST", "/runtime/get_result_wait", json={"job_id": job_id})
    assert reply.json()["data"] == {"finish_time": None, "result": None, "status": 1}


async def test_a_large_result_is_one_json_string(gateway: World) -> None:
    text = json.dumps({"text": 'é"\\\n\u0001' * 200}, ensure_ascii=False)
    job_id = new_id()
    payload: Payload = await gateway.artifacts.wrap(text)
    assert payload.artifact is not None
    gateway.scheduler.add(job_id, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.end(job_id)
    await gateway.scheduler.change(job_id, result=payload)
    reply = await ask(gateway, "POST", "/runtime/get_result_nowait", json={"job_id": job_id})
    assert reply.json()["data"]["result"] == text
    bare = await ask(gateway, "GET", f"/compat/quafu-a/runtime/job_status?job_id={job_id}")
    assert bare.json()["result"] == text


def test_every_ascii_character_survives_being_quoted() -> None:
    text = "".join(map(chr, range(128)))
    assert json.loads(b'"' + escaped(text.encode()) + b'"') == text


async def test_programs_are_paged_by_offset(gateway: World) -> None:
    for number in range(25):
        data = {"name": f"p{number}", "data": "ZGVmIHJ1bigpOiBwYXNz", "backend": "b"}
        await ask(gateway, "POST", "/runtime/programs_upload", json=data)
    names: list[str] = []
    for offset in (0, 10, 20):
        page = (await ask(gateway, "GET", f"//runtime/programs?limit=10&offset={offset}")).json()["data"]
        assert page["count"] == 25
        names += [each["name"] for each in page["programs"]]
    assert names == [f"p{number}" for number in range(24, -1, -1)]


async def test_a_job_of_somebody_else_is_not_there(gateway: World) -> None:
    job_id = new_id()
    gateway.scheduler.add(job_id, owner="bob")
    reply = await ask(gateway, "POST", "/runtime/get_result_nowait", json={"job_id": job_id})
    assert (reply.status_code, reply.json()["status"]) == (200, 404)
    bare = await ask(gateway, "POST", "/compat/quafu-a/runtime/get_result_nowait", json={"job_id": job_id})
    assert bare.status_code == 404


@pytest.mark.parametrize(("value", "public"), [(1, True), (0, False), (2, False), ([1], True), (None, False)])
async def test_visibility_is_read_as_every_client_writes_it(gateway: World, value: Any, public: bool) -> None:
    data = {"name": "p", "data": "eA==", "backend": "b", "is_public": value}
    await ask(gateway, "POST", "/runtime/programs_upload", json=data)
    (program,) = gateway.registry.programs.values()
    assert (program.visibility is Visibility.PUBLIC) == public


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"params": NaN, "program_name": "p"}'])
async def test_a_body_that_is_no_object_is_told_as_wrong_params(gateway: World, body: bytes) -> None:
    reply = await ask(gateway, "POST", "/runtime/programs_run_deploy", content=body)
    assert (reply.status_code, reply.json()["status"]) == (200, 401)


async def test_services_that_are_away_are_told_in_both_dialects() -> None:
    async with world(services=False) as gateway:
        enveloped, bare = await asyncio.gather(
            ask(gateway, "GET", f"/runtime/job_status?job_id={new_id()}"),
            ask(gateway, "GET", f"/compat/quafu-a/runtime/job_status?job_id={new_id()}"),
        )
    assert (enveloped.status_code, enveloped.json()["status"]) == (200, 503)
    assert bare.status_code == 503
