"""Two gateways, two registries, two schedulers, four executors: one runtime, every job done exactly once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import cycle

import httpx
import pytest
import pytest_asyncio
from benchmarks.load.__main__ import parsed, run

from tests.support.mongo import MongoServer
from tests.support.rabbit import RabbitNode
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.system.composition import NOTEBOOK_TOKEN, OTHER_TOKEN, SERVICES, TOKEN
from tests.system.scaled import Scaled, scaled

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLICAS = {"gateway": 2, "registry": 2, "scheduler": 2, "executor": 4}
OWNERS = {"alice": TOKEN, "bob": OTHER_TOKEN, "notebook": NOTEBOOK_TOKEN}
JOBS = 36
PROGRAM = """
import time


def run(task, userpub, params):
    print("job", params["number"])
    time.sleep(params["seconds"])
    return params["number"]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory, mongo_server: MongoServer) -> AsyncIterator[Scaled]:
    """Ten processes of the product, on a broker and in databases of their own."""
    directory = tmp_path_factory.mktemp("scale")
    rabbit, settings = (
        RabbitNode(directory / "rabbit"),
        {name: {"mongo_prefix": "scale-"} for name in SERVICES},
    )
    settings["executor"] |= {"slots": "1", "grace_seconds": "0"}
    try:
        rabbit.start()
        async with scaled(
            directory, rabbit.url, mongo_server.url, replicas=REPLICAS, settings=settings
        ) as running:
            yield running
    finally:
        rabbit.remove()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apis(whole: Scaled) -> AsyncIterator[dict[str, list[Api]]]:
    """Each owner's clients, one at each gateway."""
    async with AsyncExitStack() as stack:
        found: dict[str, list[Api]] = {}
        for owner, token in OWNERS.items():
            headers = {"Authorization": f"Bearer {token}"}
            found[owner] = [
                Api(
                    await stack.enter_async_context(
                        httpx.AsyncClient(base_url=url, headers=headers, timeout=90)
                    )
                )
                for url in whole.urls
            ]
        yield found


async def test_as_many_jobs_run_at_once_as_there_are_executors(apis: dict[str, list[Api]]) -> None:
    here, there = apis["alice"]
    program = await here.upload(PROGRAM)
    jobs = [await here.submit(program, {"number": each, "seconds": 3600}) for each in range(4)]

    async def at_once() -> bool:
        return [(await there.job(job))["status"] for job in jobs] == ["RUNNING"] * len(jobs)

    await wait_until(at_once, description="four jobs at once", seconds=60)
    seen = [await there.job(job) for job in jobs]
    assert {job["attempts"][-1]["executor"] for job in seen} == {f"executor-{each}" for each in range(1, 5)}

    for job in jobs:
        await there.http.post(f"/v1/jobs/{job['id']}/cancel")
    assert {(await here.result(job))["status"] for job in jobs} == {"CANCELLED"}


async def test_jobs_of_several_owners_over_two_gateways_are_each_done_once(
    apis: dict[str, list[Api]],
) -> None:
    programs = {owner: await here.upload(PROGRAM) for owner, (here, _) in apis.items()}

    async def finish(number: int, owner: str) -> tuple[dict[str, object], str]:
        here, there = apis[owner] if number % 2 else apis[owner][::-1]
        value = {"number": number, "seconds": 0.1}
        job = await here.submit(programs[owner], value)
        result = await there.result(job)
        assert (result["status"], result["result"]) == ("SUCCEEDED", number)
        return await there.job(job), await there.log(job)

    done = await asyncio.gather(*(finish(*each) for each in zip(range(JOBS), cycle(OWNERS), strict=False)))

    assert [log for _, log in done] == [f"job {number}\n" for number in range(JOBS)]
    seen = [job for job, _ in done]
    assert Counter(job["owner"] for job in seen) == dict.fromkeys(OWNERS, JOBS // len(OWNERS))
    assert [len(job["attempts"]) for job in seen] == [1] * JOBS  # type: ignore[arg-type]


async def test_a_submission_repeated_at_the_other_gateway_is_the_same_job(apis: dict[str, list[Api]]) -> None:
    here, there = apis["bob"]
    program = await here.upload(PROGRAM)
    body = {"program_id": program["id"], "input": {"number": 7, "seconds": 0}}
    asked = [
        api.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "once"})
        for api in (here, there)
        for _ in range(4)
    ]
    replies = await asyncio.gather(*asked)

    assert sorted(reply.status_code for reply in replies) == [200] * 7 + [201]
    (job_id,) = {reply.json()["id"] for reply in replies}
    assert (await there.result({"id": job_id}))["result"] == 7


async def test_the_load_generator_tells_what_came_of_its_load(
    whole: Scaled, apis: dict[str, list[Api]]
) -> None:
    here, _ = apis["alice"]
    before = (await here.http.get("/v1/jobs")).json()["jobs"]
    mix = "hello=1,sleep=1,logs=1,uploads=1"
    options = ("--rate", "8", "--seconds", "1.5", "--owners", "1", "--listeners", "2", "--mix", mix)

    found = await run(parsed([whole.urls[1], "--token", TOKEN, *options]))

    assert found["arrivals"] > 4
    assert found["succeeded"] == found["arrivals"]
    assert set(found["kinds"]) == {"hello", "sleep", "logs", "uploads"}
    assert found["latency"]["accept"]["p50_ms"] <= found["latency"]["result"]["p50_ms"]
    assert found["owners"] == 2
    assert found["listening"]["values"] > 0
    assert (found["listening"]["missing"], found["listening"]["broken"]) == (0, 0)
    assert (await here.http.get("/v1/jobs")).json()["jobs"] == before  # what it made is gone again
    names = [each["name"] for each in (await here.http.get("/v1/programs")).json()["programs"]]
    assert not [name for name in names if name.startswith("load-")]
