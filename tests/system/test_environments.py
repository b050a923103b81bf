"""Projects with packages of their own, from upload to a warm second job, on both compositions."""

import pytest

from qrt_contracts.ids import new_id
from tests.support.projects import project
from tests.support.waiting import wait_until
from tests.system.client import Api

pytestmark = [pytest.mark.kipu, pytest.mark.asyncio(loop_scope="session")]

USES = """
    import fast
    import plain

    def run(number: int, label: str = "sum") -> dict:
        \"\"\"Add three numbers.\"\"\"
        return {label: plain.VALUE + fast.answer() + number}
"""


async def uploaded(api: Api, program: str, *requirements: str) -> dict[str, object]:
    """Upload a project with these requirements; return it with its first version, once that is built."""
    archive = project(program, {"requirements.txt": "".join(f"{each}\n" for each in requirements)})
    form = {"name": f"project-{new_id()}"}
    reply = await api.http.post("/v1/programs", data=form, files={"archive": ("project.zip", archive)})
    assert reply.status_code == 201, reply.text
    path = f"/v1/programs/{reply.json()['id']}/versions/1"
    version = await api.http.get(path, params={"wait": 55})
    assert version.status_code == 200, version.text
    log = await api.http.get(f"{path}/build/log", params={"follow": True})
    return {**reply.json(), "version": version.json(), "log": log.text}


async def test_a_project_with_a_pure_and_a_compiled_package_builds_and_runs_warm(api: Api) -> None:
    program = await uploaded(api, USES, "fast==1.0", "plain>=1  # the pure one")
    build = program["version"]["build"]  # type: ignore[index]
    assert build["state"] == "ready", (build, program["log"])
    assert "fast==1.0" in str(program["log"])
    assert "The environment is ready" in str(program["log"])
    first = await api.submit(program, {"number": 5})
    assert (await api.result(first))["result"] == {"sum": 48}

    async def warm() -> bool:
        executors = (await api.http.get("/v1/executors")).json()["executors"]
        return any(each["warm_environments"] for each in executors)

    await wait_until(warm, description="a warm environment")
    again = await api.http.post(f"/services/{program['id']}", json={"number": 6, "label": "again"})
    assert again.status_code == 201, again.text
    second = {"id": again.json()["id"].replace("-", "")}
    assert (await api.result(second))["result"] == {"again": 49}
    assert "build:" not in await api.log(first) + await api.log(second), "nothing was made for the jobs"


async def test_a_requirement_that_does_not_exist_fails_the_build_and_the_job_and_is_named(api: Api) -> None:
    program = await uploaded(api, USES, "plain", "nonesuch==3")
    build = program["version"]["build"]  # type: ignore[index]
    assert build["state"] == "failed", build
    assert build["problem"]["code"] == "BuildFailed"
    assert "nonesuch" in build["problem"]["detail"]
    assert "nonesuch" in str(program["log"])
    result = await api.result(await api.submit(program, {"number": 1}))
    assert (result["status"], result["problem"]["code"]) == ("FAILED", "BuildFailed")
    assert "nonesuch" in result["problem"]["detail"]
