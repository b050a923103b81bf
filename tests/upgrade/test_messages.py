"""What a release says on the bus is understood by the services of today, and the other way round.

Today's registry, scheduler and gateway stand on a release's databases; its executor, which is recorded,
goes on with what it was running then. So does a roll that has come half-way.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import jsonschema_rs
import pytest
import pytest_asyncio
from pydantic import SecretStr

from qrt_chassis.settings import BusSettings
from tests.support.rabbit import RabbitNode
from tests.support.waiting import wait_until
from tests.upgrade.broker import Broker, at_broker, changed
from tests.upgrade.recording import Heard, Recording, grown
from tests.upgrade.world import Upgraded, upgraded

pytestmark = [pytest.mark.upgrade, pytest.mark.asyncio(loop_scope="module")]


@dataclass
class Rolling:
    """Today's services, and the release's executor in the test's hands."""

    whole: Upgraded
    broker: Broker
    orders: list[dict[str, Any]]
    """What the executor was told, as it came."""

    @property
    def recorded(self) -> Recording:
        return self.whole.recording

    def job(self, name: str) -> str:
        return self.whole.jobs[name]

    def beat(self) -> Heard:
        """Return the heartbeat with the running jobs of the dump."""
        running = {self.job(f"running {name}") for name in ("waits", "once", "limited")}
        beats = list(self.recorded.of_schema("executor.heartbeat"))
        full = next(each for each in beats if each.data["running"])
        listed = [{"job_id": each, "attempt": 1} for each in sorted(running)]
        return changed(full, running=listed, draining=False, slots=3)

    def of_job(self, schema: str, name: str) -> list[Heard]:
        told = self.recorded.of_schema(schema)
        return [each for each in told if each.data.get("job_id") == self.job(name)]

    async def result(self, name: str) -> dict[str, Any]:
        return await self.whole.alice.result({"id": self.job(name)})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rolling(version: str, rabbit_node: RabbitNode, mongo_url: str) -> AsyncIterator[Rolling]:
    url = rabbit_node.add_vhost(f"upgrade-{version}")
    async with at_broker(url) as broker:
        bus = BusSettings(url=SecretStr(url))
        async with upgraded(version, mongo_url, bus=bus) as whole:
            orders: list[dict[str, Any]] = []
            made = Rolling(whole, broker, orders)
            beat = made.beat()
            name = f"work.{beat.data['executor']}.{beat.data['incarnation']}"
            queue = await broker.channel.declare_queue(name, exclusive=True, auto_delete=True)
            await queue.bind("qrt.work", name)

            async def take(message: Any) -> None:
                orders.append(json.loads(message.body) | {"schema": message.headers["schema"]})

            await queue.consume(take, no_ack=True)
            await broker.publish(beat)
            yield made


async def test_the_release_s_executor_goes_on_with_its_attempts(rolling: Rolling) -> None:
    """Its outputs, its ends and its heartbeats have their effects, also with fields that are new."""
    broker = rolling.broker
    for name in ("running waits", "running limited"):
        assert rolling.of_job("job.output", name)
        for heard in rolling.of_job("job.output", name):
            await broker.publish(replace(heard, body=json.dumps(grown(heard.data)).encode()))
        (finished,) = rolling.of_job("job.attempt_finished", name)
        await broker.publish(finished)
        result = await rolling.result(name)
        assert (result["status"], result["result"]) == ("SUCCEEDED", {"waited": True})
        job = await rolling.whole.alice.job({"id": rolling.job(name)})
        assert [each["end"] for each in job["attempts"]] == ["succeeded"], "taken over, not lost"
        outputs = await rolling.whole.alice.outputs({"id": rolling.job(name)})
        assert [each["data"] for each in outputs if each["kind"] == "interim"] == ["begun", "waited"]


async def test_the_release_s_executor_is_told_to_cancel_and_its_end_is_taken(rolling: Rolling) -> None:
    job_id = rolling.job("running once")
    cancelled = await rolling.whole.clients["alice"].post(f"/v1/jobs/{job_id}/cancel")
    assert cancelled.status_code == 200
    expected = {"schema": "work.cancel_attempt", "job_id": job_id, "attempt": 1}
    await wait_until(
        lambda: any(expected.items() <= each.items() for each in rolling.orders), description="the order"
    )
    (finished,) = rolling.of_job("job.attempt_finished", "running once")
    assert finished.data["end"] == "cancelled"
    await rolling.broker.publish(finished)
    assert (await rolling.result("running once"))["status"] == "CANCELLED"


async def test_the_release_s_executor_gets_orders_that_it_can_read(rolling: Rolling) -> None:
    """Its room was given back: today's dispatcher sends it what was queued."""
    beat = rolling.beat()
    await rolling.broker.publish(changed(beat, running=[]))

    def ordered() -> set[str]:
        return {each["job_id"] for each in rolling.orders if each["schema"] == "work.run_attempt"}

    queued = {rolling.job(name) for name in ("queued adds", "queued secret", "queued bare")}
    await wait_until(lambda: len(ordered()) >= 3, description="three orders", seconds=20)
    assert len(ordered() & queued) >= 2, "what was queued, by priority and age"
    schema = jsonschema_rs.validator_for(rolling.recorded.schemas["work.run_attempt v1"])
    for each in rolling.orders:
        if each["schema"] == "work.run_attempt":
            schema.validate(each)


async def test_a_submission_heard_again_and_a_cancellation_are_understood(rolling: Rolling) -> None:
    """The events of the release's own scheduler: an outbox that its crash left behind on the broker."""
    job_id = rolling.job("queued limited")
    (submitted, *_) = rolling.recorded.of_schema("job.submitted")
    job = await rolling.whole.alice.job({"id": job_id})
    known = {"job_id": job_id, "program_id": job["program"]["id"], "owner": job["owner"]}
    await rolling.broker.publish(changed(submitted, routing_key=f"job.{job_id}.submitted", **known))
    (cancel, *_) = rolling.recorded.of_schema("job.cancel_requested")
    await rolling.broker.publish(changed(cancel, routing_key=f"job.{job_id}.cancel", job_id=job_id))
    assert (await rolling.whole.clients["alice"].post(f"/v1/jobs/{job_id}/cancel")).status_code == 200
    assert await _dead(rolling) == {}


async def test_news_of_the_release_s_scheduler_reach_listeners(rolling: Rolling) -> None:
    """`job.changed` wakes a request that waits; `job.ended` is for webhooks, where the release has them."""
    job_id = rolling.job("queued bare")
    path = f"/v1/jobs/{job_id}/stream"
    changes = [each for each in rolling.recorded.of_schema("job.changed") if each.data["status"] == "RUNNING"]
    async with rolling.whole.clients["alice"].stream("GET", path) as stream:
        lines = stream.aiter_lines()
        async with asyncio.timeout(20):
            while '"state"' not in await anext(lines):
                continue
            told = changed(changes[0], routing_key=f"job.{job_id}.state", job_id=job_id, attempt=9)
            await rolling.broker.publish(told)
            async for line in lines:
                if '"attempt":9' in line.replace(" ", ""):
                    break
    for ended in rolling.recorded.of_schema("job.ended"):
        await rolling.broker.publish(ended)
    assert await _dead(rolling) == {}


async def test_what_the_release_s_executor_says_of_a_build_is_kept(rolling: Rolling) -> None:
    program = rolling.whole.programs["built"]
    known = {"program_id": program, "version": 1}
    (progress, *_) = rolling.recorded.of_schema("program.build_progress")
    await rolling.broker.publish(changed(progress, routing_key=f"program.{program}.build", first=1, **known))
    built = next(
        each for each in rolling.recorded.of_schema("program.version_built") if each.data["problem"] is None
    )
    told = changed(built, routing_key=f"program.{program}.built", image="sha256:old", **known)
    await rolling.broker.publish(told)
    client, path = rolling.whole.clients["alice"], f"/v1/programs/{program}/versions/1"

    async def ready() -> bool:
        return bool((await client.get(path)).json()["build"]["state"] == "ready")

    await wait_until(ready, description="the build's end", seconds=20)
    assert progress.data["lines"][0] in (await client.get(f"{path}/build/log?follow=false")).text


async def test_commands_of_the_release_s_gateway_are_answered_as_it_expects(rolling: Rolling) -> None:
    asked = set()
    for heard in rolling.recorded.kinds:
        if heard.exchange != "qrt.commands":
            continue
        answer = await rolling.broker.ask(heard)
        if "problem" in answer:
            assert answer["problem"]["code"] in ("NotFound", "Conflict"), (heard.schema, answer)
        else:
            name = f"{heard.schema} v{heard.headers['schema-version']} reply"
            jsonschema_rs.validator_for(rolling.recorded.schemas[name]).validate(answer["reply"])
            asked.add(heard.schema)
    assert len(asked) >= 13, asked


async def test_dead_letters_of_the_release_are_listed_and_sent_back(rolling: Rolling) -> None:
    (letter,) = [each for each in rolling.recorded.kinds if "dead-reason" in each.headers]
    await rolling.broker.publish(letter)
    client, path = rolling.whole.clients["alice"], "/v1/admin/dead-letters/scheduler.dispatch.dead"

    async def listed() -> bool:
        letters = (await client.get(path)).json()["letters"]
        found = [(each["message_id"], each["reason"], each["schema"]) for each in letters]
        return found == [("broken", "invalid", "job.submitted")]

    async def replayed() -> bool:
        # Letters that were looked at a moment ago may still be on their way back to their queue.
        return bool((await client.post(f"{path}/replay", json={})).json() == {"replayed": 1})

    await wait_until(listed, description="the letter", seconds=20)
    died = await _died_at(rolling)
    await wait_until(replayed, description="the letter to be sent back", seconds=20)

    async def back() -> bool:
        return await listed() and await _died_at(rolling) != died

    await wait_until(back, description="the letter that died again", seconds=20)


async def _died_at(rolling: Rolling) -> list[str]:
    path = "/v1/admin/dead-letters/scheduler.dispatch.dead"
    return [each["died_at"] for each in (await rolling.whole.clients["alice"].get(path)).json()["letters"]]


async def test_a_version_to_come_is_set_aside_and_holds_up_nobody(rolling: Rolling) -> None:
    """An event of it is a dead letter, to be replayed by who knows it; a command is to be sent again."""
    (submitted, *_) = rolling.recorded.of_schema("job.submitted")
    newer = submitted.headers | {"schema-version": submitted.headers["schema-version"] + 1}
    await rolling.broker.publish(
        replace(submitted, properties={**submitted.properties, "headers": newer, "message_id": "newer"})
    )
    client, path = rolling.whole.clients["alice"], "/v1/admin/dead-letters/scheduler.dispatch.dead"

    async def aside() -> bool:
        letters = (await client.get(path)).json()["letters"]
        return any((each["message_id"], each["reason"]) == ("newer", "unknown schema") for each in letters)

    await wait_until(aside, description="the letter", seconds=20)
    command = next(each for each in rolling.recorded.kinds if each.schema == "scheduler.get_job")
    answer = await rolling.broker.ask(
        replace(command, properties={"headers": command.headers | {"schema-version": 2}})
    )
    assert (answer["problem"]["code"], answer["problem"]["retryable"]) == ("Unavailable", True)


async def test_whatever_was_said_today_could_be_read_by_the_release(rolling: Rolling) -> None:
    """All that the services of today published in these tests; what is new goes to nobody of the release."""
    known, checked = rolling.recorded.schemas, set()
    for heard in rolling.broker.heard:
        schema = known.get(f"{heard.schema} v1")
        if heard.headers["schema-version"] != 1 or heard.routing_key.startswith("job.broken"):
            continue  # the tests' own
        if schema is None:
            assert heard.schema == "job.ended", "its queue is one of newer gateways alone"
            continue
        jsonschema_rs.validator_for(schema).validate(heard.data)
        checked.add(heard.schema)
    assert checked >= {"scheduler.list_jobs", "registry.list_programs"}, checked


async def _dead(rolling: Rolling) -> dict[str, int]:
    reply = await rolling.whole.clients["alice"].get("/v1/admin/dead-letters")
    return {each["queue"]: each["letters"] for each in reply.json()["queues"] if each["letters"]}
