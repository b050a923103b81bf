"""Orders of earlier releases' schedulers, registries and gateways are carried out by today's executor."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from qrt_chassis.settings import BusSettings, MongoSettings
from qrt_contracts.ids import new_id
from qrt_executor.compose import compose
from tests.support.composed import running
from tests.support.rabbit import RabbitNode
from tests.upgrade import recording
from tests.upgrade.broker import Broker, at_broker, changed
from tests.upgrade.recording import Heard, Recording
from tests.upgrade.world import executor_settings

pytestmark = [pytest.mark.upgrade, pytest.mark.asyncio(loop_scope="module")]


@dataclass
class Ordered:
    """Today's executor alone, and what every release has recorded."""

    broker: Broker
    releases: dict[str, Recording]
    beat: dict[str, Any]
    """Its first heartbeat with room."""

    def to_it(self, order: Heard, **fields: Any) -> Heard:
        """Return an order of old, addressed to it."""
        name, incarnation = self.beat["executor"], self.beat["incarnation"]
        to = {"executor": name, "incarnation": incarnation}
        return changed(order, routing_key=f"work.{name}.{incarnation}", **to, **fields)

    async def said(self, schema: str, **fields: Any) -> dict[str, Any]:
        """Return what it says, once it says something with these fields."""

        def fits(heard: Heard) -> bool:
            return heard.schema == schema and fields.items() <= heard.data.items()

        return (await self.broker.until(fits, what=f"{schema} {fields}")).data


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ordered(
    rabbit_node: RabbitNode, mongo_url: str, folder: Path, wheels: Path
) -> AsyncIterator[Ordered]:
    url = rabbit_node.add_vhost("upgrade-orders")
    releases = {version: recording.read(version) for version in recording.versions()}
    mongo = MongoSettings(url=SecretStr(mongo_url), prefix=f"orders{new_id()[-8:]}_")
    for each in releases.values():
        recording.load({"artifacts": each.databases["artifacts"]}, mongo_url, prefix=mongo.prefix)
    facts = releases[min(releases)].facts
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(at_broker(url))
        bus = BusSettings(url=SecretStr(url))
        settings = executor_settings(mongo, bus, facts, folder=folder / "orders", wheels=wheels)
        await stack.enter_async_context(running(await stack.enter_async_context(compose(settings))))
        ready = await broker.until(
            lambda heard: heard.schema == "executor.heartbeat" and heard.data["slots"] > 0, what="room"
        )
        yield Ordered(broker, releases, ready.data)


@pytest.mark.parametrize("version", recording.versions())
async def test_an_attempt_is_run_and_reported(ordered: Ordered, version: str) -> None:
    orders = ordered.releases[version].of_schema("work.run_attempt")
    order = next(each for each in orders if '"values"' in (each.data["input"]["text"] or ""))
    job_id = new_id()
    await ordered.broker.publish(ordered.to_it(order, job_id=job_id))
    end = await ordered.said("job.attempt_finished", job_id=job_id)
    assert (end["end"], end["attempt"]) == ("succeeded", 1), end
    assert await ordered.said("job.output", job_id=job_id)


@pytest.mark.parametrize("version", recording.versions())
async def test_an_attempt_with_sealed_secrets_is_run(ordered: Ordered, version: str) -> None:
    recorded = ordered.releases[version]
    order = next(each for each in recorded.of_schema("work.run_attempt") if each.data.get("confidential"))
    # What is sealed for a job opens for this job alone.
    await ordered.broker.publish(ordered.to_it(order))
    end = await ordered.said("job.attempt_finished", job_id=order.data["job_id"])
    assert end["end"] == "succeeded", end


@pytest.mark.parametrize("version", recording.versions())
async def test_a_cancellation_ends_an_attempt(ordered: Ordered, version: str) -> None:
    recorded = ordered.releases[version]
    cancel = next(recorded.of_schema("work.cancel_attempt"))
    long = next(
        each
        for each in recorded.of_schema("work.run_attempt")
        if each.data["run"]["program_name"] in ("stays", "limited")
    )
    job_id, text = new_id(), '{"until": 1e12}'
    await ordered.broker.publish(ordered.to_it(long, job_id=job_id, input={"text": text, "artifact": None}))
    await ordered.said("job.output", job_id=job_id)
    await ordered.broker.publish(ordered.to_it(cancel, job_id=job_id, attempt=long.data["attempt"]))
    end = await ordered.said("job.attempt_finished", job_id=job_id)
    assert end["end"] == "cancelled", end


@pytest.mark.parametrize("version", recording.versions())
async def test_a_version_is_built(ordered: Ordered, version: str) -> None:
    """One whose packages are nowhere to be had: it says so."""
    orders = ordered.releases[version].of_schema("work.build_version")
    order = next(each for each in orders if each.data["run"]["kind"] == "template")
    program_id = new_id()
    run = order.data["run"] | {"program_id": program_id}
    run["environment"] = run["environment"] | {"requirements": {"text": '["there-is-none==1"]'}, "lock": None}
    await ordered.broker.publish(changed(order, run=run))
    built = await ordered.said("program.version_built", program_id=program_id)
    assert "there-is-none" in built["problem"]["detail"]
    assert await ordered.said("program.build_progress", program_id=program_id)


async def test_it_is_drained_and_takes_work_again(ordered: Ordered) -> None:
    for recorded in ordered.releases.values():
        for order in recorded.of_schema("work.drain_executor"):
            for draining in (True, False):
                ordered.broker.heard.clear()
                told = ordered.to_it(order, draining=draining)
                await ordered.broker.publish(told)
                await ordered.said("executor.heartbeat", draining=draining)


async def test_an_order_of_a_version_to_come_is_set_aside_and_the_next_one_is_taken(ordered: Ordered) -> None:
    recorded = ordered.releases[recording.versions()[-1]]
    drain = ordered.to_it(next(recorded.of_schema("work.drain_executor")), draining=True)
    newer = replace(drain, properties={"headers": drain.headers | {"schema-version": 2}})
    await ordered.broker.publish(newer)
    ordered.broker.heard.clear()
    order = next(recorded.of_schema("work.run_attempt"))
    job_id = new_id()
    await ordered.broker.publish(ordered.to_it(order, job_id=job_id))
    assert (await ordered.said("job.attempt_finished", job_id=job_id))["end"] == "succeeded"
