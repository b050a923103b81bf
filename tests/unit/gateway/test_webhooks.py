"""`/v1/webhooks`: news of jobs' ends, stored first and then sent until they arrive."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qrt_contracts.api_webhooks import WebhookEventType
from qrt_contracts.events import JobEnded
from qrt_contracts.ids import new_id
from qrt_contracts.jobs import JobSummary
from qrt_contracts.states import JobState
from qrt_gateway.domain import webhooks as rules
from qrt_gateway.service.deliveries import CLAIM, FORGET_EVERY_SECONDS, KEPT
from qrt_gateway.service.ready import PER_WEBHOOK, WAITING_PER_WEBHOOK, Ready
from qrt_gateway.service.subscribers import Subscribers
from quafu_runtime import verify_webhook
from tests.support.waiting import wait_until
from tests.unit.gateway.world import World, world

URL = "https://example.org/hook"
FAR = float(10**12)
"""The clock of these tests stands years away from the receiver's."""


@asynccontextmanager
async def sending(gateway: World) -> AsyncIterator[None]:
    """Send what is ready, inside the context."""
    task = asyncio.create_task(gateway.deliveries.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def working(gateway: World) -> AsyncIterator[World]:
    async with sending(gateway):
        yield gateway


async def hook(gateway: World, **more: Any) -> dict[str, Any]:
    reply = await gateway.http.post("/v1/webhooks", json={"url": URL, **more})
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


def summary(gateway: World, status: JobState = JobState.SUCCEEDED, owner: str = "alice") -> JobSummary:
    return JobSummary(
        id=new_id(),
        owner=owner,
        program_id=new_id(),
        program_name="hello",
        version=2,
        status=status,
        attempt=1,
        created_at=gateway.clock.now,
        ended_at=gateway.clock.now,
    )


async def end(gateway: World, job: JobSummary) -> None:
    await gateway.bus.publish(JobEnded(job=job))


async def log_of(gateway: World, made: dict[str, Any]) -> list[dict[str, Any]]:
    reply = await gateway.http.get(f"/v1/webhooks/{made['id']}/deliveries")
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["deliveries"]
    return found


async def attempted(gateway: World, times: int) -> None:
    async def done() -> bool:
        await gateway.deliveries.sweep_now()
        idle = all(each.due is None or each.due - gateway.clock.now != CLAIM for each in sent(gateway))
        return len(gateway.receiver.got) == times and idle

    await wait_until(done, description=f"{times} attempts")


def sent(gateway: World) -> list[rules.Delivery]:
    return list(gateway.webhooks.sent.values())


async def test_a_webhook_is_made_shown_changed_and_removed_and_its_secret_told_once(gateway: World) -> None:
    made = await hook(gateway, description="mine")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made["events"] == ["job.succeeded", "job.failed", "job.cancelled"]
    path = f"/v1/webhooks/{made['id']}"
    assert (await gateway.http.get("/v1/webhooks")).json() == {"webhooks": [made]}
    assert (await gateway.http.get(path)).json() == made
    assert secret not in gateway.webhooks.hooks[made["id"]].sealed
    assert "sealed" not in repr(gateway.webhooks.hooks[made["id"]])
    changed = await gateway.http.patch(path, json={"events": ["job.failed"], "enabled": False})
    assert (changed.json()["events"], changed.json()["enabled"]) == (["job.failed"], False)
    for asked in (gateway.other.get(path), gateway.other.delete(path), gateway.other.post(f"{path}/test")):
        assert (await asked).status_code == 404
    assert (await gateway.http.delete(path)).status_code == 204
    assert (await gateway.http.get(path)).status_code == 404


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "example.org", "https:///x", "https://a:b@example.org/", "https://h:99999/"]
)
async def test_a_url_that_is_none_is_refused_with_its_field(gateway: World, url: str) -> None:
    reply = await gateway.http.post("/v1/webhooks", json={"url": url})
    assert (reply.status_code, reply.json()["field"]) == (422, "url")
    assert not gateway.webhooks.hooks


async def test_a_url_that_leads_inside_is_refused_when_it_is_made_and_when_it_is_changed(
    gateway: World,
) -> None:
    made = await hook(gateway)
    gateway.receiver.refused = "its host has no address that everybody can reach"
    refused = await gateway.http.post("/v1/webhooks", json={"url": "https://10.0.0.1/"})
    assert (refused.status_code, refused.json()["field"]) == (422, "url")
    path = f"/v1/webhooks/{made['id']}"
    assert (await gateway.http.patch(path, json={"url": "https://10.0.0.1/"})).status_code == 422
    assert (await gateway.http.get(path)).json()["url"] == URL


async def test_without_sealing_keys_there_are_no_webhooks() -> None:
    async with world(sealing=False) as gateway:
        reply = await gateway.http.post("/v1/webhooks", json={"url": URL})
        assert reply.status_code == 409
        assert "SEALING_KEYS" in reply.json()["detail"]


async def test_the_end_of_a_job_is_sent_once_signed_and_to_its_owners_webhooks_alone(working: World) -> None:
    made = await hook(working)
    await hook(working, events=["job.failed"])
    job = summary(working)
    await end(working, job)
    await end(working, job)
    await end(working, summary(working, owner="bob"))
    await attempted(working, 1)
    ((url, body, headers),) = working.receiver.got
    news = verify_webhook(made["secret"], headers, body, tolerance_seconds=FAR)
    assert url == URL
    assert (news["type"], news["timestamp"]) == ("job.succeeded", "2026-01-02T03:04:05Z")
    assert news["data"]["job"]["id"] == job.id
    assert news["data"]["job"]["program"] == {"id": job.program_id, "name": "hello", "version": 2}
    assert news["data"]["links"]["result"] == f"https://runtime.example/v1/jobs/{job.id}/result"
    assert not news["data"]["job"].keys() & {"input", "result"}
    (shown,) = await log_of(working, made)
    assert shown["id"] == headers["webhook-id"]
    assert (shown["event"], shown["job_id"], shown["status"]) == ("job.succeeded", job.id, "delivered")
    assert shown["attempts"][0]["status_code"] == 204
    assert shown["next_at"] is None


async def test_what_fails_is_tried_again_later_and_its_id_stays(working: World) -> None:
    made = await hook(working)
    working.receiver.answers = ["it takes no connections", 503]
    await end(working, summary(working))
    await attempted(working, 1)
    for times in (2, 3):
        (shown,) = await log_of(working, made)
        assert shown["status"] == "pending"
        assert shown["next_at"] > working.clock.now.isoformat()
        await working.deliveries.sweep_now()  # nothing is due
        working.clock.now += timedelta(seconds=20)
        await working.deliveries.sweep_now()
        await attempted(working, times)
    (shown,) = await log_of(working, made)
    assert [each["error"] or each["status_code"] for each in shown["attempts"]] == [
        "it takes no connections",
        503,
        204,
    ]
    assert len({headers["webhook-id"] for _, _, headers in working.receiver.got}) == 1
    assert (await working.http.get(f"/v1/webhooks/{made['id']}")).json()["failing_since"] is None


async def test_what_a_gateway_was_sending_when_it_died_is_sent_by_another_one(gateway: World) -> None:
    await hook(gateway)
    await end(gateway, summary(gateway))
    await wait_until(lambda: len(gateway.webhooks.sent) == 1, description="the delivery is stored")
    (delivery,) = sent(gateway)
    now = gateway.clock.now
    assert await gateway.webhooks.claim(delivery.id, now=now, until=now + CLAIM) is not None
    async with sending(gateway):
        await gateway.deliveries.sweep_now()
        assert gateway.receiver.got == []
        gateway.clock.now += CLAIM
        await gateway.deliveries.sweep_now()
        await attempted(gateway, 1)


async def test_a_receiver_that_wants_no_more_is_left_alone_until_its_owner_switches_it_on(
    working: World,
) -> None:
    made = await hook(working)
    path = f"/v1/webhooks/{made['id']}"
    working.receiver.answers = [410]
    await end(working, summary(working))
    await attempted(working, 1)

    async def off() -> bool:
        return not (await working.http.get(path)).json()["enabled"]

    await wait_until(off, description="it is switched off")
    assert "410" in (await working.http.get(path)).json()["disabled_reason"]
    assert (await log_of(working, made))[0]["status"] == "failed"
    await end(working, summary(working))
    tested = await working.http.post(f"{path}/test")
    assert tested.status_code == 202
    await attempted(working, 2)
    assert json.loads(working.receiver.got[1][1])["type"] == "webhook.test"
    reply = await working.http.patch(path, json={"enabled": True})
    assert reply.json()["disabled_reason"] is None
    await end(working, summary(working))
    await attempted(working, 3)


@pytest.mark.parametrize(("hours", "told"), [(1, "delivered"), (24, "failed")])
async def test_nothing_is_sent_for_an_account_that_is_disabled_until_it_is_enabled_again(
    working: World, hours: int, told: str
) -> None:
    made = await hook(working)
    role = working.store.known["alice"].role
    await working.store.change_account("alice", role=role, disabled=True)
    await end(working, summary(working))

    async def held() -> bool:
        await working.deliveries.sweep_now()
        return [each.due for each in sent(working)] == [working.clock.now + rules.HELD]

    for pause in (timedelta(), timedelta(hours=hours) - rules.HELD):
        working.clock.now += pause
        await wait_until(held, description="the delivery to be held")
    assert not working.receiver.got
    working.clock.now += 2 * rules.HELD
    await working.store.change_account("alice", role=role, disabled=told == "failed")

    async def ended() -> bool:
        await working.deliveries.sweep_now()
        return sent(working)[0].ended_at is not None

    await wait_until(ended, description="the delivery to end")
    await working.store.change_account("alice", role=role, disabled=False)
    (shown,) = await log_of(working, made)
    assert (shown["status"], len(working.receiver.got)) == (told, int(told == "delivered"))


async def test_a_failed_delivery_is_sent_again_when_somebody_asks(working: World) -> None:
    made = await hook(working)
    working.receiver.answers = [410]
    await end(working, summary(working))
    await attempted(working, 1)
    (failed,) = await log_of(working, made)
    path = f"/v1/webhooks/{made['id']}/deliveries"
    again = await working.http.post(f"{path}/{failed['id']}/retry")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    await attempted(working, 2)
    (shown,) = await log_of(working, made)
    assert (shown["id"], shown["status"], len(shown["attempts"])) == (failed["id"], "delivered", 2)
    assert (await working.http.post(f"{path}/{new_id()}/retry")).status_code == 404


async def test_deliveries_come_in_pages_newest_first_and_are_forgotten_in_time(working: World) -> None:
    made = await hook(working)
    jobs = [summary(working, status) for status in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)]
    for job in jobs:
        await end(working, job)
    await attempted(working, 3)
    path = f"/v1/webhooks/{made['id']}/deliveries"
    first = (await working.http.get(path, params={"limit": 2})).json()
    rest = (await working.http.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    shown = [*first["deliveries"], *rest["deliveries"]]
    assert rest["next_cursor"] is None
    assert {each["job_id"] for each in shown} == {job.id for job in jobs}
    assert {each["event"] for each in shown} == {"job.succeeded", "job.failed", "job.cancelled"}
    working.clock.now += KEPT + timedelta(seconds=1)
    working.clock.seconds += FORGET_EVERY_SECONDS + 1
    await working.deliveries.sweep_now()
    assert await log_of(working, made) == []


async def test_jobs_of_owners_without_a_webhook_cost_no_look_up(working: World) -> None:
    store = working.webhooks
    await hook(working)
    await end(working, summary(working))
    await attempted(working, 1)
    reads = store.reads
    for _ in range(20):
        await end(working, summary(working, owner="bob"))
    await end(working, summary(working))
    await attempted(working, 2)
    assert store.reads == reads


async def test_what_another_gateway_made_is_known_once_memory_is_older_than_it_may_be(gateway: World) -> None:
    clock = gateway.clock
    here = Subscribers(gateway.webhooks, monotonic=clock.monotonic, memory_seconds=1, memory_size=1)
    event = WebhookEventType.FAILED
    assert await here.of("alice", event) == []
    made = [await hook(gateway), await hook(gateway, events=["job.succeeded"])]
    assert await here.of("alice", event) == []
    clock.seconds += 1
    assert await here.of("alice", event) == [made[0]["id"]]  # more than it remembers: looked up
    await gateway.http.delete(f"/v1/webhooks/{made[0]['id']}")
    clock.seconds += 1
    assert await here.of("alice", event) == []
    assert here.any


async def test_a_slow_receiver_holds_up_its_own_deliveries_alone() -> None:
    ready = Ready()
    for number in range(WAITING_PER_WEBHOOK):
        assert await ready.offer("slow", f"s{number}")
    assert not await ready.offer("slow", "one too many")
    assert await ready.offer("slow", "s0")
    taken = [await ready.take() for _ in range(PER_WEBHOOK)]
    assert {webhook for webhook, _ in taken} == {"slow"}
    async with asyncio.timeout(5):
        waiting = asyncio.create_task(ready.take())
        await ready.offer("quick", "q0")
        assert await waiting == ("quick", "q0")
        another = asyncio.create_task(ready.take())
        await ready.done(*taken[0])
        assert (await another)[0] == "slow"


def test_pauses_grow_from_seconds_to_hours_and_a_day_is_enough() -> None:
    assert rules.pause(1, chance=0.5) == timedelta(seconds=5)
    assert rules.pause(1, chance=0) < rules.pause(1, chance=1) < rules.pause(2, chance=0)
    assert rules.pause(50, chance=0.5) == timedelta(hours=6)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    delivery, tries = rules.trial("0" * 32, now=now), 0
    while delivery.due is not None:
        tried = rules.Tried(at=delivery.due, seconds=1.0, status_code=500)
        delivery, tries = rules.after(delivery, tried, now=delivery.due, chance=0.5), tries + 1
    assert delivery.status == "failed"
    assert 8 < tries < 15
    last = delivery.attempts[-1].at - now
    assert timedelta(hours=18) < last <= timedelta(hours=24)


def test_a_webhook_is_switched_off_when_nothing_has_arrived_for_days() -> None:
    now = datetime(2026, 1, 10, tzinfo=UTC)
    made = rules.Webhook(
        id="0" * 32,
        owner="alice",
        url=URL,
        events=(),
        description="",
        sealed="",
        created_at=now,
        updated_at=now,
        failing_since=now - timedelta(days=6),
    )
    tried = rules.Tried(at=now, seconds=1.0, error="it takes no connections")
    reason = rules.why_off(made, tried, now=now)
    assert reason is not None
    assert "it takes no connections" in reason
    assert rules.why_off(replace(made, failing_since=now), tried, now=now) is None
