"""The whole product with an engine: from an upload to files, and kill -9 in the midst of ten containers."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from qrt_executor.adapters.containers.engine import Engine
from tests.docker.bases import PYTHON
from tests.docker.daemon import Daemon
from tests.docker.programs import python, shell, zipped
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.system.composition import TOKEN, Composition, standalone

pytestmark = pytest.mark.asyncio(loop_scope="session")
TEN = 10


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def whole(
    daemon: Daemon, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Composition]:
    """The standalone runtime on the tests' engine."""
    directory = tmp_path_factory.mktemp("whole") / "data"
    async with standalone(directory, "--engine", daemon.url, "--slots", str(TEN)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def api(whole: Composition) -> AsyncIterator[Api]:
    """Alice's client."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=whole.url, headers=headers, timeout=90) as client:
        yield Api(client)


async def _upload(api: Api, name: str, files: dict[str, str], **resources: Any) -> dict[str, Any]:
    manifest = {"name": name, "runtime": "DOCKER", "resources": resources or None}
    archive = zipped(files | {"planqk.json": json.dumps(manifest)})
    reply = await api.http.post("/v1/programs", files={"archive": ("project.zip", archive)})
    assert reply.status_code == 201, reply.text
    program: dict[str, Any] = reply.json()
    assert program["kind"] == "container"
    return program


async def _until_built(api: Api, program: dict[str, Any]) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    async def built() -> bool:
        reply = await api.http.get(f"/v1/programs/{program['id']}/versions/latest", params={"wait": 5})
        found[:] = [reply.json()]
        return bool(found[0]["build"]["state"] != "building")

    await wait_until(built, description="the build's end", seconds=60)
    return found[0]


async def _held(engine: Engine) -> list[dict[str, Any]]:
    """Return the labels of all containers and volumes of the whole."""
    params = {"filters": json.dumps({"label": ["qrt.attempt"]}), "all": "true"}
    containers = await engine.ask("GET", "containers/json", params=params)
    volumes = (await engine.ask("GET", "volumes", params=params)).get("Volumes") or []
    labels = [each["Labels"] for each in (*containers, *volumes)]
    return [each for each in labels if each["qrt.executor"].startswith("standalone-")]


async def test_a_project_with_a_dockerfile_from_its_upload_to_its_files(api: Api) -> None:
    source = (
        "import json, sys\n"
        "data = json.load(open('/var/runtime/input/data.json'))\n"
        "print('PlanQK:Job:InterimResult: {\"half\": true}')\n"
        "print('adding'); print('careful', file=sys.stderr)\n"
        "json.dump({'sum': sum(data['values'])}, open('/var/runtime/output/output.json', 'w'))\n"
        "open('/var/runtime/output/result.txt', 'w').write('more')\n"
    )
    program = await _upload(api, "adder", python(source), cpu=1, memory=0.125)
    version = await _until_built(api, program)
    assert version["build"]["state"] == "ready", version
    assert str(version["built_image"]).startswith("sha256:"), version
    log = await api.http.get(f"/v1/programs/{program['id']}/versions/latest/build")
    assert f": FROM {PYTHON}" in log.text
    given = {"data": {"values": [1, 2, 3]}, "params": {"round_up": True}}
    started = await api.http.post("/services/adder/", json=given)
    assert started.status_code == 201, started.text
    place = f"/services/adder/{started.json()['id']}"

    async def ended() -> bool:
        return bool((await api.http.get(place)).json()["status"] not in ("PENDING", "RUNNING"))

    await wait_until(ended, description="the execution's end", seconds=60)
    result = (await api.http.get(f"{place}/result")).json()
    assert result["sum"] == 6, result
    assert set(result["_links"]) == {"self", "status", "output.json", "result.txt"}
    assert (await api.http.get(f"{place}/result/result.txt")).text == "more"
    entries = (await api.http.get(f"{place}/log")).json()
    told = {each["message"].strip(): each["severity"] for each in entries}
    assert (told["adding"], told["careful"]) == ("INFO", "WARNING"), told
    assert all(each["timestamp"] for each in entries)
    assert (await api.http.get(f"{place}/interim-results")).json() == [{"half": True}]


async def test_a_job_that_no_executor_can_run_is_refused(api: Api) -> None:
    program = await _upload(api, "greedy", shell("true"), gpu={"type": "A100", "count": 4})
    reply = await api.http.post("/v1/jobs", json={"program_id": program["id"], "input": {}})
    assert (reply.status_code, reply.json()["code"]) == (422, "Unrunnable"), reply.text
    assert "4 GPUs" in reply.json()["detail"]


async def test_kill_9_in_the_midst_of_ten_containers_and_a_build_leaves_nothing(
    api: Api, whole: Composition, engine: Engine
) -> None:
    program = await _upload(api, "sleeper", shell("sleep 600"))
    once = await _upload(api, "once", shell("sleep 601"))
    changed = await api.http.patch(f"/v1/programs/{once['id']}", json={"max_attempts": 1})
    assert changed.status_code == 200, changed.text
    jobs = [await api.submit(program if number < TEN - 2 else once, {}) for number in range(TEN)]
    again, lost = jobs[: TEN - 2], jobs[TEN - 2 :]

    async def running() -> int:
        found = await engine.ask("GET", "containers/json")
        names = [each["Names"][0] for each in found if "qrt.attempt" in each["Labels"]]
        return sum(not name.endswith("-holder") for name in names)

    async def all_run() -> bool:
        return await running() == TEN

    built = await _upload(api, "built", shell("true", more="RUN echo begun && sleep 4\n"))

    async def begun() -> bool:
        log = await api.http.get(f"/v1/programs/{built['id']}/versions/latest/build")
        return "begun" in log.json()["lines"]

    await wait_until(all_run, description="ten running containers", seconds=120)
    await wait_until(begun, description="a build in its midst", seconds=60)
    first = {each["qrt.incarnation"] for each in await _held(engine)}
    process = whole.processes["standalone"]
    await process.kill()
    assert await running() == TEN, "they do not depend on the executor"
    await process.start()
    await whole.ready()

    async def settled() -> bool:
        seen = [await api.job(job) for job in jobs]
        moved = all((each["status"], each["attempt"]) == ("RUNNING", 2) for each in seen[: TEN - 2])
        return moved and all(each["status"] == "FAILED" for each in seen[TEN - 2 :])

    await wait_until(settled, description="second attempts, and ends of those with one", seconds=120)
    assert {(await api.job(job))["problem"]["code"] for job in lost} == {"ExecutorLost"}
    assert not first & {each["qrt.incarnation"] for each in await _held(engine)}
    for job in again:
        await api.http.post(f"/v1/jobs/{job['id']}/cancel")

    async def clean() -> bool:
        everything = await engine.ask("GET", "containers/json", params={"all": "true"})
        return not everything and not await _held(engine)

    assert (await _until_built(api, built))["build"]["state"] == "ready", "it was built anew"
    await wait_until(clean, description="nothing left at the engine, steps of builds too", seconds=120)
    assert {(await api.job(job))["status"] for job in again} == {"CANCELLED"}
