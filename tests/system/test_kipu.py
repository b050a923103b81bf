"""The published Kipu client, unchanged, against the whole product."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import pytest_asyncio
from qhub.api.service import HubServiceClient as BearerClient
from qhub.service.client import HubServiceClient, HubServiceExecution

from qrt_contracts.ids import new_id
from tests.support.proxy import open_proxy
from tests.system.client import Api
from tests.system.composition import ROOT, TOKEN, Composition

pytestmark = [pytest.mark.kipu, pytest.mark.asyncio(loop_scope="session")]

PLANQK_PYTHON = ROOT / ".venv" / "planqk" / "bin" / "python"
T = TypeVar("T")
Make = Callable[..., Awaitable[HubServiceClient]]
SUM = """
import os, time
def run(task, userpub, value):
    params = value.get("params", {})
    if params.get("fail"):
        raise ValueError("told to fail")
    if params.get("sleep"):
        time.sleep(60)
    print("adding", value["data"])
    with open(os.path.join(os.environ["OUTPUT_DIRECTORY"], "result.txt"), "w") as file:
        file.write("0123456789")
    userpub.publish({"e": -1.0})
    return {"sum": sum(value["data"]["values"]), "_links": 1}
"""


async def threaded(call: Callable[..., T], *arguments: Any, **more: Any) -> T:
    return await asyncio.wait_for(asyncio.to_thread(call, *arguments, **more), 90)


@pytest_asyncio.fixture(loop_scope="session")
async def service(api: Api) -> str:
    """The path of a service."""
    program = await api.upload(SUM, f"sum {new_id()}")
    return f"/services/{program['id']}"


@pytest.fixture
def opened() -> Iterator[list[BearerClient]]:
    """Clients to close: they never do it by themselves."""
    clients: list[BearerClient] = []
    yield clients
    for each in clients:
        each._client_wrapper.httpx_client.httpx_client.close()


@pytest.fixture
def make(api: Api, composition: Composition, opened: list[BearerClient]) -> Make:
    """Makes published clients, each with keys of its own."""

    async def made(service: str, url: str = composition.url) -> HubServiceClient:
        keys = (await api.http.post("/v1/clients", json={"name": "test"})).json()
        client = HubServiceClient(url + service, keys["id"], keys["secret"], f"{composition.url}/token")
        opened.append(client._api)
        return client

    return made


async def test_a_published_client_runs_waits_reads_lists_and_cancels(
    make: Make, service: str, tmp_path: Path
) -> None:
    client = await make(service)
    execution: HubServiceExecution = await threaded(
        client.run, {"data": {"values": [1, 2, 3]}}, tags=["a tag"]
    )
    await threaded(execution.wait_for_final_state, timeout=60, wait=0.05)
    assert execution.status == "SUCCEEDED"
    result = await threaded(execution.result)
    assert result.data() == {"sum": 6}
    metadata = result.metadata()
    assert metadata is not None
    assert (metadata.id, metadata.tags) == (execution.id, ["a tag"])
    assert result.files() == ["output.json", "result.txt"]
    for name in result.files():
        await threaded(execution.download_result_file, name, str(tmp_path))
    assert json.loads((tmp_path / "output.json").read_text()) == {"sum": 6, "_links": 1}
    assert (tmp_path / "result.txt").read_text() == "0123456789"
    stream = await threaded(lambda: b"".join(execution.result_file_stream("result.txt")))
    assert stream == b"0123456789"
    logs = await threaded(execution.logs)
    assert logs is not None
    assert [entry.message for entry in logs] == ["adding {'values': [1, 2, 3]}"]
    assert execution.id in [each.id for each in await threaded(client.get_service_executions)]
    slow = await threaded(client.run, {"params": {"sleep": True}})
    await threaded(slow.cancel)
    await threaded(slow.wait_for_final_state, timeout=60, wait=0.05)
    assert (await threaded(client.get_service_execution, slow.id)).status == "CANCELLED"
    assert (await threaded(slow.result)).data() == {}


async def test_a_failed_execution_has_a_result_that_says_why(make: Make, service: str) -> None:
    client = await make(service + "/")
    execution = await threaded(client.run, {"params": {"fail": True}})
    await threaded(execution.wait_for_final_state, timeout=60, wait=0.05)
    assert execution.status == "FAILED"
    data = (await threaded(execution.result)).data()
    assert (data["title"], data["detail"], data["code"]) == ("ValueError", "told to fail", "ProgramError")


@pytest.mark.skipif(not PLANQK_PYTHON.exists(), reason="the older client has no wheels for this Python")
async def test_a_client_of_the_older_generation_does_the_same(
    composition: Composition, api: Api, service: str
) -> None:
    keys = (await api.http.post("/v1/clients", json={"name": "old"})).json()
    script = str(Path(__file__).with_name("planqk_client.py"))
    process = await asyncio.create_subprocess_exec(
        *(str(PLANQK_PYTHON), "-P", script, composition.url + service, keys["id"], keys["secret"]),
        f"{composition.url}/token",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    seen = json.loads(out)
    assert seen.pop("listed")[-1] == seen["embedded"] == seen.pop("id")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", seen.pop("ended"))
    del seen["embedded"]
    assert seen == {
        "states": ["SUCCEEDED", "FAILED", "CANCELLED"],
        "sum": 6,
        "files": ["output.json", "result.txt"],
        "content": {"sum": 6, "_links": 1},
        "logs": ["adding {'values': [1, 2, 3]}"],
        "no logs": [],
        "why": ["ValueError", "told to fail"],
        "cancelled": "CANCELLED",
    }


async def test_a_bearer_token_and_a_program_name_do_as_well(
    composition: Composition, api: Api, service: str, opened: list[BearerClient]
) -> None:
    program = (await api.http.get(f"/v1/programs/{service.rpartition('/')[2]}")).json()
    base = httpx.URL(composition.url).copy_with(path=f"/services/{program['name']}")
    client = BearerClient(base_url=str(base), token=TOKEN)
    opened.append(client)
    started = await threaded(client.service_api.start_execution, request={"data": {"values": []}})
    assert started.id in [each.id for each in await threaded(client.service_api.get_service_executions)]


async def test_a_job_of_one_surface_is_there_on_all_three_for_its_owner_alone(
    api: Api, other: Api, service: str
) -> None:
    program = {"id": service.rpartition("/")[2]}
    native = await api.submit(program, {"data": {"values": [1]}})
    kipu = (await api.http.post(service, json={"data": {"values": [2]}})).json()
    quafu = await api.http.post("/runtime/programs_run_deploy", json={"program_id": program["id"]})
    ids = [native["id"], kipu["id"].replace("-", ""), quafu.json()["data"]["job_id"]]
    for job_id in ids:
        assert (await api.http.get(f"/v1/jobs/{job_id}")).status_code == 200
        assert (await api.http.get(f"{service}/{job_id}")).status_code == 200
        status = await api.http.get("/runtime/job_status", params={"job_id": job_id})
        assert status.json()["status"] == 200
        assert (await other.http.get(f"/v1/jobs/{job_id}")).status_code == 404
        assert (await other.http.get(f"{service}/{job_id}")).status_code == 404
        hidden = await other.http.get("/runtime/job_status", params={"job_id": job_id})
        assert hidden.json()["status"] == 404
    listed = [each["id"].replace("-", "") for each in (await api.http.get(service)).json()]
    assert sorted(listed) == sorted(ids)


async def test_a_start_whose_answer_was_cut_runs_once(
    composition: Composition, make: Make, service: str
) -> None:
    """The client repeats it by itself, a second later."""
    client = await make(service)
    async with open_proxy(composition.url) as proxy:
        cut = await make(service, proxy.url(composition.url))
        proxy.drop_down = 1
        execution = await threaded(cut.run, {"data": {"values": [1]}})
        assert proxy.connections == 2
    listed = await threaded(client.get_service_executions)
    assert [each.id for each in listed] == [execution.id]
    deliberate = await threaded(client.run, {"data": {"values": [1]}})
    again = await threaded(client.run, {"data": {"values": [1]}})
    assert len({execution.id, deliberate.id, again.id}) == 3
