"""Any start order, and any part restarted while jobs run: every job done once, every output delivered."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from quafu_runtime import Account, AsyncRuntimeService, InterimResult
from tests.support.mongo import MongoServer
from tests.support.rabbit import RabbitNode
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.system.composition import SERVICES, TOKEN, Composition, four_services

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLISHING = """
import time


def run(task, userpub, params):
    for number in range(params["count"]):
        userpub.publish({"job": params["job"], "number": number})
        print("line", number)
        time.sleep(params["pause"])
    return params["job"]
"""
JOBS = 6
COUNT = 40
PAUSE = 0.05


@dataclass
class World:
    """One private composition that the tests of this module harm, one after the other."""

    whole: Composition
    rabbit: RabbitNode
    mongo: MongoServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("restarts")
    (directory / "rabbit").mkdir()
    rabbit, mongo = RabbitNode(directory / "rabbit"), MongoServer(directory / "mongo")
    try:
        rabbit.start()
        mongo.start()
        async with four_services(directory, rabbit.url, mongo.url) as whole:
            yield World(whole, rabbit, mongo)
    finally:
        rabbit.remove()
        mongo.remove()


async def listen(url: str, job_id: str, acquainted: asyncio.Event) -> list[dict[str, int]]:
    """Return what a listener of the SDK saw of the job's newest attempt, in its order.

    `acquainted` is set once the runtime has answered it: before that, clients soon take an address for wrong.
    """
    async with AsyncRuntimeService(Account(api_token=TOKEN, url=url)) as service:
        job = await service.job(job_id)
        acquainted.set()
        attempt = 0
        seen: list[dict[str, int]] = []
        async for output in job.outputs():
            if output.attempt != attempt:
                attempt, seen = output.attempt, []
            if isinstance(output, InterimResult):
                seen.append(output.value)
        return seen


async def load_and(world: World, harm: Callable[[], Awaitable[None]]) -> None:
    """Run jobs with a listener each, do harm half-way, and check that nothing was lost or doubled."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = world.whole.url
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=90) as client:
        api = Api(client)
        program = await api.upload(PUBLISHING)
        jobs = [await api.submit(program, {"job": n, "count": COUNT, "pause": PAUSE}) for n in range(JOBS)]
        async with asyncio.timeout(180), asyncio.TaskGroup() as group:
            acquainted = [asyncio.Event() for _ in jobs]
            pairs = zip(jobs, acquainted, strict=True)
            listeners = [group.create_task(listen(url, job["id"], event)) for job, event in pairs]
            await asyncio.gather(*(event.wait() for event in acquainted))
            await api.until_logged(jobs[0], "line 3")
            await harm()
        await world.whole.ready()
        for number, (job, listener) in enumerate(zip(jobs, listeners, strict=True)):
            result = await api.result(job)
            assert (result["status"], result["result"]) == ("SUCCEEDED", number), result
            expected = [{"job": number, "number": n} for n in range(COUNT)]
            assert listener.result() == expected
            seen = await api.job(job)
            stored = [each for each in await api.outputs(seen) if each["kind"] == "interim"]
            assert [json.loads(each["data"]) for each in stored] == expected
            ends = [attempt["end"] for attempt in seen["attempts"]]
            assert ends.count("succeeded") == 1


@pytest.mark.parametrize("name", SERVICES)
async def test_killing_a_service_and_starting_it_again_loses_nothing(world: World, name: str) -> None:
    async def harm() -> None:
        await world.whole.processes[name].kill()
        await world.whole.processes[name].start()

    await load_and(world, harm)


@pytest.mark.parametrize("name", SERVICES)
async def test_stopping_a_service_in_order_and_starting_it_again_loses_nothing(
    world: World, name: str
) -> None:
    async def harm() -> None:
        assert await world.whole.processes[name].stop() == 0
        await world.whole.processes[name].start()

    await load_and(world, harm)


async def test_restarting_rabbitmq_loses_nothing(world: World) -> None:
    await load_and(world, world.rabbit.restart)


async def test_restarting_the_database_loses_nothing(world: World) -> None:
    await load_and(world, world.mongo.restart)


async def test_services_may_start_before_what_they_stand_on(tmp_path: Path) -> None:
    (tmp_path / "rabbit").mkdir()
    rabbit, mongo = RabbitNode(tmp_path / "rabbit"), MongoServer(tmp_path / "mongo")
    order = ("gateway", "executor", "scheduler", "registry")
    try:
        late = asyncio.Event()

        async def engines() -> None:
            await late.wait()
            rabbit.spawn()
            mongo.spawn()
            await asyncio.to_thread(rabbit.wait_ready)
            await asyncio.to_thread(mongo.wait_ready)

        async with asyncio.TaskGroup() as group:
            group.create_task(engines())
            async with four_services(tmp_path, rabbit.url, mongo.url, order, wait=False) as whole:
                await wait_until(
                    lambda: all("running" in each.logged() for each in whole.processes.values()),
                    description="all services to run without their engines",
                    seconds=60,
                )
                late.set()
                await whole.ready(within=120)
                headers = {"Authorization": f"Bearer {TOKEN}"}
                async with httpx.AsyncClient(base_url=whole.url, headers=headers, timeout=90) as client:
                    result = await Api(client).run("def run(task, userpub, params):\n    return 'up'\n")
                    assert result["result"] == "up"
    finally:
        rabbit.remove()
        mongo.remove()
