"""The registry's half of builds: orders, what is heard of them, how they end, their logs."""

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest

from qrt_contracts.commands import (
    AddVersion,
    BuildLogPage,
    CreateProgram,
    DeleteProgram,
    ReadBuildLog,
    ResolveRun,
    UpdateProgram,
)
from qrt_contracts.events import BuildProgress, VersionBuilt
from qrt_contracts.faults import NotFound, Problem
from qrt_contracts.values import BuildState, Payload, Program, ProgramKind, Version, Visibility
from qrt_registry import builds
from qrt_registry.builds import LOCK_WORTH, VERSION_INLINE, Builds
from qrt_registry.domain import MAX_DETAIL, Project
from qrt_registry.intake import Intake
from qrt_registry.orders import LONGEST_SILENCE, MAX_TRIES, NOBODY, SILENCE
from qrt_registry.service import Registry
from tests.support.waiting import wait_until
from tests.unit.registry.fakes import (
    NOW,
    Executors,
    MemoryBuilds,
    MemoryBundles,
    MemoryPrograms,
    ScriptedInspector,
)

pytestmark = pytest.mark.kipu

ONE, TWO, THREE = ("0" * 31 + digit for digit in "123")
LOCK = Payload(text='["numpy==1 --hash=sha256:a"]')
GONE = Problem(code="BuildFailed", title="t", detail="the index is away", retryable=True)
BROKEN = Problem(code="BuildFailed", title="t", detail="no-such-package: there is none")


class World:
    def __init__(self) -> None:
        self.now = NOW
        self.programs, self.bundles, self.store = MemoryPrograms(), MemoryBundles(), MemoryBuilds()
        self.inspector, self.executors = ScriptedInspector(), Executors()
        self.builds = Builds(
            bus=cast("Any", self.executors),
            programs=self.programs,
            store=self.store,
            bundles=self.bundles,
            clock=lambda: self.now,
        )
        self.registry = Registry(
            programs=self.programs,
            bundles=self.bundles,
            intake=Intake(
                bundles=self.bundles, inspector=self.inspector, max_source_bytes=100, max_project_bytes=200
            ),
            builds=self.builds,
            clock=lambda: self.now,
            max_source_bytes=100,
        )

    def project(self, canonical: str, *requirements: str) -> None:
        """Say what the next upload is."""
        self.inspector.found = Project(
            kind=ProgramKind.TEMPLATE, canonical=canonical.encode(), requirements=requirements, signature="{}"
        )

    async def create(self, program_id: str = ONE, *requirements: str) -> Program:
        self.project(f"canonical {program_id}", *requirements)
        upload = self.bundles.stored(b"upload")
        command = CreateProgram(
            caller="alice", program_id=program_id, name=program_id, bundle=upload, kind=ProgramKind.TEMPLATE
        )
        return (await self.registry.create(command)).program

    async def add(self, canonical: str, *requirements: str) -> Program:
        self.project(canonical, *requirements)
        command = AddVersion(caller="alice", program_id=ONE, bundle=self.bundles.stored(b"upload"))
        return (await self.registry.add_version(command)).program

    async def sweep(self, after: timedelta = timedelta(0)) -> list[str]:
        """Let time go by and say which builds are ordered then."""
        self.now += after
        await self.builds.sweep()
        return self.executors.ordered()

    async def say(self, first: int, *lines: str, program_id: str = ONE, version: int = 1) -> None:
        event = BuildProgress(program_id=program_id, version=version, first=first, lines=lines)
        await self.builds.progressed(event)

    async def end(self, program_id: str = ONE, version: int = 1, **more: Any) -> Version:
        event = VersionBuilt(
            program_id=program_id, version=version, started_at=self.now, ended_at=self.now, **more
        )
        await self.builds.ended(event)
        found = await self.programs.version(program_id, version)
        assert found is not None
        return found

    async def read(self, **more: Any) -> BuildLogPage:
        command = ReadBuildLog(**{"caller": "alice", "program_id": ONE} | more)
        return await self.registry.read_build_log(command)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_project_is_built_before_it_is_ready_and_a_source_is_ready_at_once(world: World) -> None:
    program = await world.create()
    assert program.latest.build.state is BuildState.BUILDING
    assert await world.sweep() == ["1/1"]
    command = CreateProgram(
        caller="alice", program_id=TWO, name="quafu", bundle=world.bundles.stored(b"source")
    )
    assert (await world.registry.create(command)).program.latest.build.state is BuildState.READY
    assert await world.sweep() == []


async def test_an_order_tells_all_that_a_job_would_and_what_ends_is_kept(world: World) -> None:
    program = await world.create(ONE, "numpy")
    await world.builds.sweep()
    (order,) = world.executors.orders
    resolved = await world.registry.resolve(ResolveRun(caller="alice", program_id=ONE))
    assert order.run == resolved.run
    assert order.routing_key() == "work.builds.template"
    built = await world.end(lock=LOCK, signature=Payload(text='{"new": 1}'))
    assert built.build.state is BuildState.READY
    assert (built.build.started_at, built.build.ended_at) == (NOW, NOW)
    resolved = await world.registry.resolve(ResolveRun(caller="alice", program_id=ONE))
    assert resolved.signature == Payload(text='{"new": 1}')
    assert resolved.run.environment is not None
    assert resolved.run.environment.lock == LOCK
    assert program.latest.environment is not None
    assert resolved.run.environment.requirements == program.latest.environment.requirements
    assert world.store.builds == {}


async def test_a_signature_that_the_build_does_not_tell_stays_that_of_the_source(world: World) -> None:
    await world.create()
    assert (await world.end()).signature == Payload(text="{}")


async def test_what_is_large_of_a_version_stands_apart(world: World) -> None:
    await world.create()
    large = Payload(text=f'"{"x" * VERSION_INLINE}"')
    built = await world.end(signature=large)
    assert built.signature is not None
    assert built.signature.artifact == world.bundles.stored((large.text or "").encode())


async def test_a_build_that_failed_says_why_and_the_same_upload_builds_it_again(world: World) -> None:
    await world.create(ONE, "no-such-package")
    assert await world.sweep() == ["1/1"]
    await world.say(1, "looking for it")
    failed = (await world.end(problem=BROKEN)).build
    assert (failed.state, failed.problem) == (BuildState.FAILED, BROKEN)
    assert await world.sweep(LONGEST_SILENCE) == []
    again = await world.add(f"canonical {ONE}", "no-such-package")
    assert (again.latest.number, again.latest.build.state) == (1, BuildState.BUILDING)
    assert await world.sweep() == ["1/1"]
    assert (await world.read()).lines == ()
    assert (await world.end(lock=LOCK)).build.state is BuildState.READY
    assert (await world.add(f"canonical {ONE}", "no-such-package")).latest.build.state is BuildState.READY
    assert await world.sweep() == []


async def test_a_problem_is_kept_as_far_as_a_person_reads_it(world: World) -> None:
    await world.create()
    problem = BROKEN.model_copy(update={"detail": "x" * (MAX_DETAIL + 1)})
    told = (await world.end(problem=problem)).build.problem
    assert told is not None
    assert told.detail == "x" * MAX_DETAIL + "…"


async def test_a_failure_that_may_pass_is_tried_again_a_few_times(world: World) -> None:
    await world.create(ONE, "numpy")
    for _ in range(MAX_TRIES - 1):
        assert await world.sweep(timedelta(minutes=1)) == ["1/1"]
        assert (await world.end(problem=GONE)).build.state is BuildState.BUILDING
        assert await world.sweep() == []
    assert await world.sweep(timedelta(minutes=1)) == ["1/1"]
    failed = (await world.end(problem=GONE)).build
    assert (failed.state, failed.problem) == (BuildState.FAILED, GONE)


async def test_a_build_of_which_nothing_is_heard_is_ordered_again_ever_later(world: World) -> None:
    await world.create()
    assert await world.sweep() == ["1/1"]
    assert await world.sweep(SILENCE - timedelta(seconds=1)) == []
    await world.say(1, "still at it")
    assert await world.sweep(SILENCE - timedelta(seconds=1)) == []
    assert await world.sweep(timedelta(seconds=1)) == ["1/1"]
    assert await world.sweep(SILENCE) == []
    assert await world.sweep(SILENCE) == ["1/1"]
    for _ in range(20):
        assert await world.sweep(LONGEST_SILENCE) == ["1/1"]


async def test_a_registry_that_starts_orders_anew_what_was_on_its_way(world: World) -> None:
    await world.create()
    assert await world.sweep() == ["1/1"]
    running = asyncio.create_task(world.builds.run())
    await wait_until(lambda: bool(world.executors.orders), description="the order")
    running.cancel()
    assert world.executors.ordered() == ["1/1"]


async def test_a_new_program_is_ordered_without_waiting_for_the_next_look(world: World) -> None:
    running = asyncio.create_task(world.builds.run())
    await asyncio.sleep(0)
    await world.create()
    await wait_until(lambda: bool(world.executors.orders), description="the order")
    running.cancel()
    assert world.executors.ordered() == ["1/1"]


async def test_an_order_that_nobody_takes_is_given_again_soon(world: World) -> None:
    await world.create()
    world.executors.away = True
    assert await world.sweep() == []
    world.executors.away = False
    assert await world.sweep() == []
    assert await world.sweep(NOBODY) == ["1/1"]


async def test_equal_requirements_are_built_once_and_the_others_take_over_their_lock(world: World) -> None:
    for program_id in (ONE, TWO):
        await world.create(program_id, "numpy")
    await world.create(THREE, "scipy")
    assert await world.sweep() == ["1/1", "3/1"]
    assert await world.sweep(SILENCE) == ["1/1", "3/1"]
    await world.end(lock=LOCK)
    await world.builds.sweep()
    (order,) = world.executors.orders
    assert (order.run.program_id, order.run.environment and order.run.environment.lock) == (TWO, LOCK)
    world.executors.ordered()
    assert (await world.end(TWO, lock=LOCK)).environment == order.run.environment
    # Later ones need not wait for one another, as long as the lock has its worth.
    await world.add("second", "numpy")
    await world.add("third", "numpy")
    assert await world.sweep() == ["1/2", "1/3"]
    await world.add("fourth", "numpy")
    assert await world.sweep(LOCK_WORTH + timedelta(seconds=1)) == ["3/1", "1/2", "1/3"]


async def test_when_the_first_of_equal_builds_fails_the_next_one_is_tried(world: World) -> None:
    for program_id in (ONE, TWO):
        await world.create(program_id, "numpy")
    assert await world.sweep() == ["1/1"]
    await world.end(problem=BROKEN)
    assert await world.sweep() == ["2/1"]


async def test_a_build_that_ends_after_newer_uploads_changes_its_own_version_alone(world: World) -> None:
    await world.create()
    await world.add("second")
    assert (await world.end(version=1)).build.state is BuildState.READY
    assert world.programs.programs[ONE].latest.build.state is BuildState.BUILDING
    assert (await world.end(version=2)).build.state is BuildState.READY
    assert world.programs.programs[ONE].latest.build.state is BuildState.READY


async def test_an_end_that_is_told_twice_or_late_changes_nothing(world: World) -> None:
    await world.create()
    await world.sweep()
    first = await world.end(signature=Payload(text='{"first": 1}'))
    assert await world.end(problem=BROKEN) == first
    assert await world.end(signature=Payload(text="{}")) == first
    await world.say(1, "late")
    assert (await world.read()).lines == ()


async def test_builds_of_what_was_never_stored_or_is_deleted_are_forgotten(world: World) -> None:
    program = await world.create()
    await world.say(1, "line")
    await world.registry.delete(DeleteProgram(caller="alice", program_id=ONE))
    assert (world.store.builds, world.store.logs) == ({}, {})
    await world.builds.open(ONE, program.latest, kind=program.kind)
    assert await world.sweep() == []
    assert world.store.builds != {}
    assert await world.sweep(SILENCE + timedelta(seconds=1)) == []
    assert world.store.builds == {}


async def test_of_two_registries_one_gives_the_order(world: World) -> None:
    await world.create()
    seen = await world.store.all_open()
    assert await world.sweep() == ["1/1"]
    assert not await world.store.change(seen[0], seen[0].ordered(world.now))


async def test_a_log_is_read_on_from_where_a_reader_was(world: World) -> None:
    await world.create()
    await world.sweep()
    await world.say(1, "a", "b")
    page = await world.read()
    assert (page.lines, page.last, page.complete) == (("a", "b"), 2, False)
    assert page.build.state is BuildState.BUILDING
    await world.say(1, "a", "b")
    await world.say(2, "b", "c")
    page = await world.read(after=page.last)
    assert (page.lines, page.last) == (("c",), 3)
    await world.end()
    page = await world.read(after=page.last, wait_seconds=20)
    assert (page.lines, page.last, page.complete) == ((), 3, True)
    assert page.build.state is BuildState.READY


async def test_a_reader_that_waits_is_told_at_once(world: World) -> None:
    await world.create()
    await world.sweep()
    waiting = asyncio.create_task(world.read(wait_seconds=20))
    await asyncio.sleep(0)
    await world.say(1, "news")
    assert (await waiting).lines == ("news",)
    waiting = asyncio.create_task(world.read(after=1, wait_seconds=20))
    await asyncio.sleep(0)
    await world.end()
    assert (await waiting).complete


async def test_a_log_is_for_those_who_may_see_the_program(world: World) -> None:
    await world.create()
    with pytest.raises(NotFound):
        await world.read(caller="bob")
    with pytest.raises(NotFound, match="has no version 2"):
        await world.read(version=2)
    shared = UpdateProgram(caller="alice", program_id=ONE, visibility=Visibility.PUBLIC)
    await world.registry.update(shared)
    assert (await world.read(caller="bob")).last == 0


async def test_the_log_of_what_was_never_built_is_complete(world: World) -> None:
    source = world.bundles.stored(b"source")
    await world.registry.create(CreateProgram(caller="alice", program_id=ONE, name="q", bundle=source))
    page = await world.read(wait_seconds=20)
    assert (page.lines, page.last, page.complete) == ((), 0, True)


async def test_a_build_has_ended_once_its_log_is_whole(world: World) -> None:
    await world.create()
    await world.builds.sweep()
    await world.say(1, "one")
    ending = asyncio.create_task(world.end(last_line=2))
    page = await world.read(after=1, wait_seconds=0.0)
    assert page.build is not None
    assert page.build.state is BuildState.BUILDING
    await world.say(2, "two")
    assert (await ending).build.state is BuildState.READY
    assert (await world.read()).lines == ("one", "two")


async def test_a_line_that_never_comes_holds_up_no_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "_LAST_LINE_SECONDS", 0.01)
    await world.create()
    await world.builds.sweep()
    assert (await world.end(last_line=2)).build.state is BuildState.READY
