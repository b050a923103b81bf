"""compose.yaml, started for real: what docs/operations.md promises of it. These tests stand in an order."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.compose.load import Load
from tests.compose.stack import ADMIN_TOKEN, NOTEBOOK_TOKEN, REPLICAS, Stack
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.system.notebook import assert_printed, run_notebook

pytestmark = pytest.mark.asyncio(loop_scope="session")

SPEAKS_AND_WAITS = """
import time

def run(task, userpub, params):
    userpub.publish("here")
    time.sleep(600)
"""
LARGE = 6 << 20


@pytest_asyncio.fixture(loop_scope="session")
async def admin(stack: Stack) -> AsyncIterator[Api]:
    """The administrator, through the proxy."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=60) as http:
        yield Api(http)


async def executors(admin: Api) -> list[dict[str, Any]]:
    """Return what the executors say of themselves."""
    reply = await admin.http.get("/v1/executors")
    assert reply.status_code == 200, reply.text
    listed: list[dict[str, Any]] = reply.json()["executors"]
    return listed


async def test_whatever_starts_first_every_container_gets_healthy(stack: Stack) -> None:
    names = [each["Service"] for each in await asyncio.to_thread(stack.containers)]
    assert {name: names.count(name) for name in names} == REPLICAS, stack.order


async def test_four_executors_of_different_names_isolate_by_jails(admin: Api) -> None:
    async def all_heard() -> bool:
        return len(await executors(admin)) == REPLICAS["executor"]

    await wait_until(all_heard, description="every executor to be heard of", seconds=30)
    listed = await executors(admin)
    assert {each["isolation"] for each in listed} == {"jail"}
    assert len({each["name"] for each in listed}) == REPLICAS["executor"]


async def test_containers_have_no_rights_and_no_password_in_a_variable(stack: Stack) -> None:
    ids = [each["ID"] for each in await asyncio.to_thread(stack.containers)]
    told = await asyncio.to_thread(stack.docker.run, "inspect", *ids)
    assert stack.password not in told
    assert ADMIN_TOKEN not in told
    for each in json.loads(told):
        assert each["HostConfig"]["Memory"] > 0, each["Name"]
        assert each["HostConfig"]["NanoCpus"] > 0, each["Name"]
        assert each["HostConfig"]["PidsLimit"] > 0, each["Name"]
        if "quafu-runtime/" in each["Config"]["Image"]:
            assert each["Config"]["User"] in ("10001:10001", "61000:61000"), each["Name"]
            assert (each["HostConfig"]["CapDrop"], each["HostConfig"]["ReadonlyRootfs"]) == (["ALL"], True)
            assert each["HostConfig"]["Privileged"] is False


async def test_the_notebook_prints_what_it_shows_through_the_proxy(stack: Stack, tmp_path: Path) -> None:
    printed = await asyncio.to_thread(run_notebook, stack.url, tmp_path / "work")
    assert_printed(printed)
    headers = {"Authorization": f"Bearer {NOTEBOOK_TOKEN}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=60) as http:
        jobs = (await http.get("/v1/jobs")).json()["jobs"]
    assert len(jobs) >= 4
    assert {each["isolation"] for each in jobs} == {"jail"}


async def test_server_sent_events_come_while_the_job_runs(admin: Api) -> None:
    job = await admin.submit(await admin.upload(SPEAKS_AND_WAITS))
    async with asyncio.timeout(60), admin.http.stream("GET", f"/v1/jobs/{job['id']}/stream") as reply:
        assert reply.status_code == 200
        async for line in reply.aiter_lines():
            if line.startswith("data:") and '"outputs"' in line:
                break
    assert (await admin.job(job))["status"] == "RUNNING"
    cancelled = await admin.http.post(f"/v1/jobs/{job['id']}/cancel")
    assert cancelled.status_code == 200, cancelled.text


async def test_a_large_input_passes(admin: Api) -> None:
    program = await admin.upload("def run(task, userpub, params):\n    return len(params['text'])\n")
    result = await admin.result(await admin.submit(program, {"text": "x" * LARGE}))
    assert (result["status"], result["result"]) == ("SUCCEEDED", LARGE)


async def test_services_are_rolled_under_load_without_a_failed_request_or_a_lost_job(stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=90) as http:
        load = Load(http)
        await load.prepare()
        running = asyncio.create_task(load.run(at_once=3))
        try:
            await _roll(stack, load, running, services=("gateway", "executor"))
        finally:
            load.stopping = True
            await asyncio.wait([running], timeout=120)
        await running
        ours = await load.listed()
    print(f"{len(load.jobs)} jobs, {load.requests} requests, none failed")
    assert ours.keys() == set(load.jobs)
    assert {ours[job]["status"] for job in load.jobs} == {"SUCCEEDED"}
    assert {ours[job]["isolation"] for job in load.jobs} == {"jail"}


async def _roll(stack: Stack, load: Load, running: asyncio.Task[None], *, services: Sequence[str]) -> None:
    """Change, build and roll one service after the other; each must be in use before the next one."""
    for service in services:
        old = {each["ID"] for each in await asyncio.to_thread(stack.containers, service)}
        await asyncio.to_thread(stack.change, f"qrt_{service}")
        await asyncio.to_thread(stack.build, service)
        before = len(load.jobs)
        await asyncio.to_thread(stack.roll, service)
        await wait_until(
            lambda before=before: running.done() or len(load.jobs) > before + 10,
            description=f"jobs beside the roll of {service}",
            seconds=120,
        )
        if running.done():
            running.result()  # a request failed: raises what it was
        await _assert_new(stack, service, old=old)


async def _assert_new(stack: Stack, service: str, *, old: set[str]) -> None:
    new = await asyncio.to_thread(stack.containers, service)
    assert len(new) == REPLICAS[service]
    assert not old & {each["ID"] for each in new}
    source = f"import qrt_{service}; print(qrt_{service}.CHANGED)"
    for each in new:
        told = await asyncio.to_thread(stack.inside, each["ID"], "/opt/service/bin/python", "-c", source)
        assert told == "True\n"


async def test_down_and_up_again_keeps_what_there_was(stack: Stack, admin: Api) -> None:
    program = await admin.upload("def run(task, userpub, params):\n    return params\n", name="kept")
    job = await admin.submit(program, {"kept": True})
    assert (await admin.result(job))["result"] == {"kept": True}
    await asyncio.to_thread(stack.down)
    assert await asyncio.to_thread(stack.containers) == []
    await asyncio.to_thread(stack.up)
    await asyncio.to_thread(stack.wait_healthy)
    assert (await admin.result(job))["result"] == {"kept": True}
    again = await admin.submit(program, {"again": True})
    assert (await admin.result(again))["result"] == {"again": True}
