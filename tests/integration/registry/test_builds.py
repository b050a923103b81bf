"""Builds on the bus and a real database, with an executor that the test plays."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from qrt_chassis.artifacts import ArtifactStore
from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.port import Subscription
from qrt_chassis.settings import HealthSettings, MongoSettings
from qrt_chassis.store import Store, open_store
from qrt_contracts.commands import (
    AddVersion,
    BuildLogPage,
    CreateProgram,
    DeleteProgram,
    ListVersions,
    ReadBuildLog,
    ResolveRun,
)
from qrt_contracts.events import BuildProgress, BuildVersion, VersionBuilt, builds_queue
from qrt_contracts.faults import Problem
from qrt_contracts.ids import new_id
from qrt_contracts.message import Exchange
from qrt_contracts.values import BuildState, Payload, Program, ProgramKind
from qrt_registry.adapters import mongo_builds
from qrt_registry.adapters.mongo_builds import MongoBuilds
from qrt_registry.compose import compose
from qrt_registry.settings import RegistrySettings
from tests.support.composed import running
from tests.support.projects import project
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kipu

QUEUE = builds_queue(ProgramKind.TEMPLATE)
LOCK = Payload(text='["one==1"]')


class World:
    """A registry that runs, its users, and an executor that says what the test has it say."""

    def __init__(self, bus: MemoryBus, store: Store) -> None:
        self.bus = bus
        self.artifacts = ArtifactStore(store)
        self.caller = f"alice-{new_id()}"
        self.orders: list[BuildVersion] = []

    async def take(self, order: BuildVersion) -> None:
        self.orders.append(order)

    async def upload(self, text: str, *requirements: str, to: Program | None = None) -> Program:
        archive = project(f"def run(): return {text!r}", {"requirements.txt": "\n".join(requirements)})
        bundle = await self.artifacts.put(archive)
        if to is not None:
            added = AddVersion(caller=self.caller, program_id=to.id, bundle=bundle)
            return (await self.bus.request(added)).program
        created = CreateProgram(
            caller=self.caller, program_id=new_id(), name=new_id(), bundle=bundle, kind=None
        )
        return (await self.bus.request(created)).program

    async def ordered(self, number: int) -> BuildVersion:
        await wait_until(lambda: len(self.orders) >= number, description=f"order {number}")
        return self.orders[number - 1]

    async def say(self, program: Program, first: int, *lines: str, version: int = 1) -> None:
        progress = BuildProgress(program_id=program.id, version=version, first=first, lines=lines)
        await self.bus.publish(progress)

    async def end(self, program: Program, *, version: int = 1, **more: Any) -> None:
        now = datetime.now(UTC)
        ended = VersionBuilt(program_id=program.id, version=version, started_at=now, ended_at=now, **more)
        await self.bus.publish(ended)

    async def read(self, program: Program, **more: Any) -> BuildLogPage:
        wanted = ReadBuildLog(caller=self.caller, program_id=program.id, wait_seconds=5, **more)
        return await self.bus.request(wanted)

    async def read_whole(self, program: Program, **more: Any) -> tuple[list[str], BuildLogPage]:
        lines: list[str] = []
        while True:
            page = await self.read(program, after=len(lines), **more)
            lines += page.lines
            if page.complete:
                return lines, page


@pytest.fixture
def mongo(mongo_url: str) -> MongoSettings:
    """A database of the test's own: a registry takes up every build that it finds."""
    return MongoSettings(url=SecretStr(mongo_url), prefix=f"builds-{new_id()[-12:]}-")


@pytest.fixture
async def world(mongo: MongoSettings) -> AsyncIterator[World]:
    settings = RegistrySettings(mongo=mongo, health=HealthSettings(port=0))
    async with AsyncExitStack() as stack:
        bus = MemoryBus()
        stack.push_async_callback(bus.close)
        store = await stack.enter_async_context(open_store(mongo))
        found = World(bus, store)
        await bus.subscribe(
            Subscription(queue=QUEUE, bindings=((Exchange.WORK, QUEUE),)), {BuildVersion: found.take}
        )
        registry = await stack.enter_async_context(compose(settings, bus=bus))
        await stack.enter_async_context(running(registry))
        yield found


async def test_a_build_is_ordered_told_of_live_and_ends_in_what_jobs_run(world: World) -> None:
    program = await world.upload("one", "One")
    order = await world.ordered(1)
    assert (order.run.program_id, order.run.version) == (program.id, 1)
    await world.say(program, 1, "resolved", "installing")
    page = await world.read(program)
    assert (page.lines, page.last, page.complete) == (("resolved", "installing"), 2, False)
    await world.say(program, 3, "done")
    assert (await world.read(program, after=2)).lines == ("done",)
    signature = Payload(text='{"input": {}, "check": {}}')
    await world.end(program, lock=LOCK, signature=signature, last_line=3)
    lines, page = await world.read_whole(program)
    assert (lines, page.build.state) == (["resolved", "installing", "done"], BuildState.READY)
    resolved = await world.bus.request(ResolveRun(caller=world.caller, program_id=program.id))
    assert resolved.signature == signature
    assert resolved.run.environment is not None
    assert resolved.run.environment.lock == LOCK


async def test_each_version_has_its_own_build_and_a_failed_one_names_what_failed(world: World) -> None:
    program = await world.upload("one", f"p-{new_id()}")
    await world.ordered(1)
    await world.upload("two", "no-such", to=program)
    await world.ordered(2)
    problem = Problem(code="BuildFailed", title="t", detail="no-such: there is no such package")
    await world.end(program, version=2, problem=problem)
    _, page = await world.read_whole(program, version=2)
    assert (page.build.state, page.build.problem) == (BuildState.FAILED, problem)
    await world.end(program, version=1)
    await world.read_whole(program, version=1)
    listed = await world.bus.request(ListVersions(caller=world.caller, program_id=program.id))
    assert [(each.number, each.build.state) for each in listed.versions] == [
        (2, BuildState.FAILED),
        (1, BuildState.READY),
    ]
    again = await world.upload("two", "no-such", to=program)
    assert (again.latest.number, again.latest.build.state) == (2, BuildState.BUILDING)
    assert (await world.ordered(3)).run.version == 2


async def test_equal_requirements_go_one_after_the_other(world: World) -> None:
    wanted = f"p-{new_id()}"
    first, second = await world.upload("one", wanted), await world.upload("two", wanted)
    assert (await world.ordered(1)).run.program_id == first.id
    await world.end(first, lock=LOCK)
    order = await world.ordered(2)
    assert order.run.program_id == second.id
    assert order.run.environment is not None
    assert order.run.environment.lock == LOCK


async def test_a_registry_that_starts_takes_up_what_another_left(world: World, mongo: MongoSettings) -> None:
    program = await world.upload("one")
    await world.ordered(1)
    settings = RegistrySettings(mongo=mongo, health=HealthSettings(port=0))
    async with compose(settings, bus=world.bus) as other, running(other):
        assert (await world.ordered(2)).run.program_id == program.id


async def test_the_builds_of_a_deleted_program_are_gone_with_it(world: World, mongo: MongoSettings) -> None:
    program = await world.upload("one")
    await world.say(program, 1, "line")
    await world.read(program)
    await world.bus.request(DeleteProgram(caller=world.caller, program_id=program.id))
    async with open_store(mongo) as store:
        builds = MongoBuilds(store)
        assert await builds.get(program.id, 1) is None
        assert await builds.lines(f"{program.id}/1", after=0) == []


async def test_a_log_has_an_end_and_says_so(mongo: MongoSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_builds, "MAX_LOG_LINES", 3)
    async with open_store(mongo) as store:
        builds, key = MongoBuilds(store), f"{new_id()}/1"
        for first in (1, 1, 3, 5):
            await builds.add_lines(key, program_id="p", first=first, lines=[f"{first}", "x" * 3_000])
        assert await builds.lines(key, after=0) == ["1", "x" * 2_000, mongo_builds.FULL]
        assert await builds.lines(key, after=2) == [mongo_builds.FULL]
        assert await builds.lines(key, after=3) == []
