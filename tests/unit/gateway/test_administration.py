"""`/v1/admin/dead-letters` and draining: what administrators do while the runtime runs."""

from typing import Any

import pytest

from qrt_chassis.bus.port import Subscription
from qrt_contracts.events import CancelRequested, DrainExecutor, Heartbeat, durable_queues, work_queue
from qrt_contracts.ids import new_id
from qrt_contracts.message import Exchange
from qrt_contracts.values import Isolation, ProgramKind
from qrt_executor.handlers import builds_subscription
from qrt_gateway.service.deliveries import JOB_ENDS
from qrt_registry.handlers import BUILDS
from qrt_scheduler.handlers import DISPATCH, HISTORY
from tests.support.waiting import wait_until
from tests.unit.gateway.world import World

LETTERS = "/v1/admin/dead-letters"


def test_every_queue_that_outlives_its_consumers_is_known() -> None:
    used = [DISPATCH, HISTORY, BUILDS, JOB_ENDS, *map(builds_subscription, ProgramKind)]
    assert {each.queue for each in used} == set(durable_queues())


async def test_dead_letters_are_listed_read_and_sent_back(gateway: World) -> None:
    seen: list[str] = []
    mended = False

    async def handle(event: CancelRequested) -> None:
        if not mended:
            raise ValueError("not yet")
        seen.append(event.job_id)

    queue = Subscription(
        queue="scheduler.dispatch", bindings=((Exchange.EVENTS, "job.*.cancel"),), max_deliveries=1
    )
    await gateway.bus.subscribe(queue, {CancelRequested: handle})
    job_id = new_id()
    await gateway.bus.publish(CancelRequested(job_id=job_id))

    async def counted() -> bool:
        queues = (await gateway.http.get(LETTERS)).json()["queues"]
        counts = {each["queue"]: each["letters"] for each in queues}
        assert counts.keys() >= {"scheduler.history.dead", "gateway.job-ends.dead", "transient.dead"}
        return bool(counts["scheduler.dispatch.dead"] == 1)

    await wait_until(counted, description="a dead letter")
    path = f"{LETTERS}/scheduler.dispatch.dead"
    (letter,) = (await gateway.http.get(path, params={"limit": 5})).json()["letters"]
    assert {**letter, "message_id": "", "died_at": ""} == {
        "message_id": "",
        "reason": "failed",
        "error": "ValueError: not yet",
        "died_at": "",
        "queue": "scheduler.dispatch",
        "schema": "job.cancel_requested",
        "body": f'{{"job_id":"{job_id}"}}',
    }
    assert letter["died_at"].endswith("Z")
    mended = True
    missing = await gateway.http.post(f"{path}/replay", json={"message_id": "another"})
    assert (missing.status_code, missing.json()["field"]) == (404, "message_id")
    replayed = await gateway.http.post(
        f"{path}/replay", json={"message_id": letter["message_id"], "limit": 20}
    )
    assert (replayed.status_code, replayed.json()) == (200, {"replayed": 1})
    await wait_until(lambda: seen == [job_id], description="it is handled")
    everything = await gateway.http.post(f"{path}/replay", json={"message_id": None, "limit": 20})
    assert everything.json() == {"replayed": 0}
    assert (await gateway.http.get(f"{LETTERS}/gateway.commands")).status_code == 404


async def test_an_executor_is_told_to_drain_and_to_take_work_again(gateway: World) -> None:
    orders: list[DrainExecutor] = []

    async def take(order: DrainExecutor) -> None:
        orders.append(order)

    name = work_queue("e1", "i1")
    queue = Subscription(queue=name, bindings=((Exchange.WORK, name),), durable=False)
    subscribed = await gateway.bus.subscribe(queue, {DrainExecutor: take})
    beat = Heartbeat(executor="e1", incarnation="i1", slots=1, isolation=Isolation.JAIL)
    await gateway.bus.publish(beat)

    async def heard() -> bool:
        return bool((await gateway.http.get("/v1/executors")).json()["executors"])

    await wait_until(heard, description="the executor is known")
    for word, draining in (("drain", True), ("undrain", False)):
        reply = await gateway.http.post(f"/v1/executors/e1/{word}")
        assert (reply.status_code, reply.json()) == (202, {"name": "e1", "draining": draining})
        await wait_until(lambda: bool(orders), description="the order")
        assert orders.pop().draining is draining
    assert (await gateway.http.post("/v1/executors/e2/drain")).status_code == 404
    await subscribed.cancel()
    assert (await gateway.http.post("/v1/executors/e1/drain")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", LETTERS),
        ("GET", f"{LETTERS}/transient.dead"),
        ("POST", f"{LETTERS}/transient.dead/replay"),
        ("POST", "/v1/executors/e1/drain"),
        ("POST", "/v1/executors/e1/undrain"),
    ],
)
async def test_only_administrators_do_so(gateway: World, method: str, path: str) -> None:
    body: Any = {"json": {}} if path.endswith("replay") else {}
    assert (await gateway.other.request(method, path, **body)).status_code == 403
