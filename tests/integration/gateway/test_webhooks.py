"""Webhooks of two gateways on one database and one bus."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.settings import HealthSettings, MongoSettings
from qrt_chassis.store import open_store
from qrt_contracts.api_webhooks import WebhookEventType
from qrt_contracts.events import JobEnded
from qrt_contracts.ids import new_id
from qrt_contracts.jobs import JobSummary
from qrt_contracts.states import JobState
from qrt_gateway.adapters.webhooks import MongoWebhooks
from qrt_gateway.compose import Gateway, compose
from qrt_gateway.domain import webhooks as rules
from qrt_gateway.settings import GatewaySettings
from quafu_runtime import verify_webhook
from tests.support.composed import running
from tests.support.receiving import ANSWER, receiving
from tests.support.waiting import wait_until

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def mongo(mongo_url: str) -> MongoSettings:
    return MongoSettings(url=SecretStr(mongo_url), prefix=f"t{new_id()[-12:]}_")


@pytest.fixture
async def hooks(mongo: MongoSettings) -> AsyncIterator[MongoWebhooks]:
    async with open_store(mongo) as store:
        made = MongoWebhooks(store)
        await made.prepare()
        yield made


def ended_job(status: JobState = JobState.SUCCEEDED) -> JobSummary:
    return JobSummary(
        id=new_id(),
        owner="alice",
        program_id=new_id(),
        program_name="p",
        version=1,
        status=status,
        attempt=1,
        created_at=NOW,
        ended_at=NOW,
    )


def up(gateway: Gateway) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(gateway.address) == 0


async def test_of_two_gateways_one_sends_and_both_know_a_webhook_once_it_is_told_of(
    mongo: MongoSettings,
) -> None:
    settings = GatewaySettings(
        mongo=mongo,
        health=HealthSettings(port=0),
        port=0,
        bootstrap_tokens=SecretStr("alice=alice-token"),
        sealing_keys=SecretStr("a sealing key of at least 32 characters"),
        webhook_networks=("127.0.0.0/8",),
    )
    bus = MemoryBus()
    jobs = [ended_job() for _ in range(20)]

    def unwilling_at_first(number: int) -> bytes:
        return b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" if number == 0 else ANSWER

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(receiving(unwilling_at_first))
        one = await stack.enter_async_context(compose(settings, bus=bus))
        two = await stack.enter_async_context(compose(settings, bus=bus))
        await stack.enter_async_context(running(one, two))
        headers = {"Authorization": "Bearer alice-token"}
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=one.url, headers=headers))
        await wait_until(lambda: up(one), description="the gateway takes connections")
        made = (await http.post("/v1/webhooks", json={"url": server.url})).json()
        for job in jobs:
            await bus.publish(JobEnded(job=job))

        def told() -> set[str]:
            news = [verify_webhook(made["secret"], each.headers, each.body) for each in server.got]
            return {each["data"]["job"]["id"] for each in news}

        await wait_until(lambda: told() == {job.id for job in jobs}, description="all is sent", seconds=30)
        refused, *others = [each.headers["webhook-id"] for each in server.got]
        assert len([each for each in others if each != refused]) == 19, "each but the refused one once"

        async def noted() -> bool:
            log = (await http.get(f"/v1/webhooks/{made['id']}/deliveries")).json()["deliveries"]
            first = next(each for each in log if each["id"] == refused)
            return bool(first["attempts"] and first["attempts"][0]["status_code"] == 500)

        await wait_until(noted, description="the refusal is in the log")
        outside = await http.post("/v1/webhooks", json={"url": "https://10.0.0.1/"})
        assert outside.status_code == 422
        assert (await http.delete(f"/v1/webhooks/{made['id']}")).status_code == 204
    await bus.close()


async def test_a_stored_delivery_is_claimed_by_one_settled_by_its_claimant_and_found_when_it_is_due(
    hooks: MongoWebhooks,
) -> None:
    delivery = rules.news("0" * 32, WebhookEventType.SUCCEEDED, ended_job(), base="", now=NOW)
    assert await hooks.add_delivery(delivery)
    assert not await hooks.add_delivery(delivery)
    assert await hooks.due(NOW - timedelta(microseconds=1), limit=10) == []
    assert await hooks.due(NOW, limit=10) == [(delivery.id, "0" * 32)]
    until = NOW + timedelta(seconds=60)
    claimed = await hooks.claim(delivery.id, now=NOW, until=until)
    assert claimed is not None
    assert claimed.due == until
    assert json.loads(claimed.body) == json.loads(delivery.body)
    assert await hooks.claim(delivery.id, now=NOW, until=until) is None
    stolen = await hooks.claim(delivery.id, now=until, until=until + timedelta(seconds=60))
    assert stolen is not None
    tried = rules.Tried(at=NOW, seconds=0.5, status_code=500)
    assert not await hooks.settle(claimed, rules.after(claimed, tried, now=NOW, chance=0.5))
    retried = rules.after(stolen, tried, now=NOW, chance=0.5)
    assert await hooks.settle(stolen, retried)
    await hooks.postpone([delivery.id], now=until, until=until + timedelta(seconds=30))
    assert await hooks.due(until, limit=10) == []
    (found,) = await hooks.deliveries("0" * 32, limit=10, before=None)
    done = rules.after(found, rules.Tried(at=NOW, seconds=0.5, status_code=200), now=NOW, chance=0.5)
    assert await hooks.settle(found, done)
    shown = await hooks.delivery(delivery.id)
    assert shown is not None
    assert (shown.due, shown.status, [each.status_code for each in shown.attempts]) == (
        None,
        "delivered",
        [500, 200],
    )
    assert await hooks.settle(shown, rules.again(shown, now=NOW))
    again = await hooks.delivery(delivery.id)
    assert again is not None
    assert (again.due, again.ended_at) == (NOW, None)
    await hooks.forget_deliveries(NOW + timedelta(days=1))
    assert await hooks.delivery(delivery.id) is not None
    assert await hooks.settle(again, done)
    await hooks.forget_deliveries(NOW + timedelta(days=1))
    assert await hooks.delivery(delivery.id) is None
    assert await hooks.deliveries("0" * 32, limit=10, before=delivery.order) == []


async def test_each_change_of_who_is_told_of_what_is_counted(hooks: MongoWebhooks) -> None:
    made = rules.Webhook(
        id=new_id(),
        owner="alice",
        url="https://example.org/",
        events=(WebhookEventType.FAILED,),
        description="",
        sealed="x",
        created_at=NOW,
        updated_at=NOW,
    )
    assert await hooks.webhook_changes() == 0
    await hooks.add_webhook(made)
    assert await hooks.webhook_changes() == 1
    assert await hooks.change_webhook(made.id, {"failing_since": NOW})
    assert await hooks.webhook_changes() == 1
    assert await hooks.change_webhook(made.id, {"enabled": False})
    (found,) = await hooks.webhooks("alice")
    assert (found.events, found.enabled, found.failing_since is None) == (made.events, False, False)
    assert await hooks.all_webhooks(limit=5) == [found]
    assert await hooks.delete_webhook(made.id)
    assert not await hooks.change_webhook(made.id, {"enabled": True})
    assert await hooks.webhook(made.id) is None
    assert await hooks.webhook_changes() == 4
