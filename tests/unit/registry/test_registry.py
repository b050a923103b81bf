"""What users do with programs."""

import re
from typing import Any, cast

import pytest

from qrt_contracts.commands import (
    AddVersion,
    CreateProgram,
    DeleteProgram,
    GetProgram,
    ListPrograms,
    ListVersions,
    ResolveRun,
    UpdateProgram,
)
from qrt_contracts.faults import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NameTaken,
    NotFound,
    ProgramInvalid,
    Unavailable,
)
from qrt_contracts.values import (
    EnvironmentSpec,
    LimitOverrides,
    Limits,
    Payload,
    Program,
    ProgramKind,
    Quota,
    Resources,
    Version,
    Visibility,
)
from qrt_registry import domain
from qrt_registry.builds import Builds
from qrt_registry.domain import Project
from qrt_registry.intake import Intake
from qrt_registry.service import RACES, Registry
from tests.unit.registry.fakes import (
    NOW,
    Executors,
    MemoryBuilds,
    MemoryBundles,
    MemoryPrograms,
    ScriptedInspector,
)

ONE, TWO, NOBODY = "0" * 31 + "1", "0" * 31 + "2", "f" * 32


class World:
    def __init__(self) -> None:
        self.programs, self.bundles = MemoryPrograms(), MemoryBundles()
        self.inspector = ScriptedInspector()
        self.builds = Builds(
            bus=cast("Any", Executors()),
            programs=self.programs,
            store=MemoryBuilds(),
            bundles=self.bundles,
            clock=lambda: NOW,
        )
        self.registry = Registry(
            builds=self.builds,
            programs=self.programs,
            bundles=self.bundles,
            intake=Intake(
                bundles=self.bundles, inspector=self.inspector, max_source_bytes=100, max_project_bytes=200
            ),
            clock=lambda: NOW,
            max_source_bytes=100,
        )

    async def create(self, program_id: str = ONE, source: str = "good", **more: Any) -> Program:
        fields = {"caller": "alice", "name": "hello"} | more
        command = CreateProgram(program_id=program_id, bundle=self.bundles.stored(source.encode()), **fields)
        return (await self.registry.create(command)).program

    async def add(self, source: str, caller: str = "alice") -> Program:
        command = AddVersion(caller=caller, program_id=ONE, bundle=self.bundles.stored(source.encode()))
        return (await self.registry.add_version(command)).program


@pytest.fixture
def world() -> World:
    return World()


async def test_a_created_program_has_its_first_version(world: World) -> None:
    program = await world.create(visibility=Visibility.PUBLIC, backend="b", cost=2.0)
    assert (program.owner, program.latest.number, program.backend, program.cost) == ("alice", 1, "b", 2.0)
    found = await world.registry.get(GetProgram(caller="alice", program_id=ONE, with_source=True))
    assert (found.program, found.source) == (program, "good")


async def test_a_repeated_create_finds_its_own_work_done(world: World) -> None:
    assert await world.create() == await world.create()
    assert world.inspector.inspected == 1
    with pytest.raises(Conflict):
        await world.create(caller="mallory", name="other")


async def test_an_owner_has_each_name_once(world: World) -> None:
    await world.create()
    with pytest.raises(NameTaken) as fault:
        await world.create(TWO)
    assert fault.value.field == "name"
    await world.create(TWO, caller="bob")


async def test_a_source_that_cannot_run_is_refused_and_nothing_kept(world: World) -> None:
    with pytest.raises(ProgramInvalid) as fault:
        await world.create(source="good\n    bad")
    assert fault.value.detail == "it is bad (line 2, column 5):\n    bad"
    assert fault.value.errors[0].pointer == "/source"
    assert world.programs.programs == {}
    await world.create()
    with pytest.raises(ProgramInvalid):
        await world.add("bad")
    assert (await world.registry.get(GetProgram(caller="alice", name="hello"))).program.latest.number == 1


async def test_bundles_of_versions_are_kept_and_those_that_were_refused_are_not(world: World) -> None:
    await world.create()
    await world.add("second")
    with pytest.raises(ProgramInvalid):
        await world.add("bad")
    with pytest.raises(NameTaken):
        await world.create(TWO, source="third")
    kept = {world.bundles.blobs[each] for each in world.bundles.kept}
    assert kept == {b"good", b"second"}


async def test_a_source_over_the_limit_is_refused_unread(world: World) -> None:
    with pytest.raises(ProgramInvalid, match="101 bytes; the limit is 100"):
        await world.create(source="x" * 101)
    assert world.inspector.inspected == 0


async def test_versions_count_up_and_the_newest_again_changes_nothing(world: World) -> None:
    await world.create()
    assert (await world.add("second")).latest.number == 2
    assert (await world.add("second")).latest.number == 2
    assert (await world.add("good")).latest.number == 3


async def test_versions_are_listed_newest_first_to_whoever_may_see_the_program(world: World) -> None:
    await world.create(kind=ProgramKind.TEMPLATE)
    for number in (2, 3):
        world.inspector.found = Project(kind=ProgramKind.TEMPLATE, canonical=b"x" * number)
        await world.add(f"{number}")
    first = await world.registry.list_versions(ListVersions(caller="alice", program_id=ONE, limit=2))
    assert [(each.number, each.bundle.size) for each in first.versions] == [(3, 3), (2, 2)]
    assert (first.next_cursor, first.total, first.versions[0].kind) == ("2", 3, ProgramKind.TEMPLATE)
    rest = ListVersions(caller="alice", program_id=ONE, limit=2, cursor=first.next_cursor)
    assert [each.number for each in (await world.registry.list_versions(rest)).versions] == [1]
    for cursor, numbers in (("1", []), ("999999999", [3, 2, 1])):
        asked = ListVersions(caller="alice", program_id=ONE, cursor=cursor)
        found = await world.registry.list_versions(asked)
        assert ([each.number for each in found.versions], found.next_cursor) == (numbers, None)
    with pytest.raises(NotFound):
        await world.registry.list_versions(ListVersions(caller="bob", program_id=ONE))


async def test_a_version_that_lost_a_race_takes_the_next_number(world: World) -> None:
    await world.create()
    world.programs.races = [Version(number=2, bundle=world.bundles.stored(b"theirs"), created_at=NOW)]
    assert (await world.add("ours")).latest.number == 3


async def test_a_race_lost_for_ever_ends_as_a_passing_fault(world: World) -> None:
    await world.create()
    world.programs.races = [
        Version(number=RACES + 2 - lost, bundle=world.bundles.stored(str(lost).encode()), created_at=NOW)
        for lost in range(RACES + 1)
    ]
    with pytest.raises(Unavailable):
        await world.add("ours")


async def test_the_number_of_versions_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "MAX_VERSIONS", 1)
    await world.create()
    with pytest.raises(Conflict):
        await world.add("second")


async def test_a_private_program_is_its_owners_alone(world: World) -> None:
    await world.create()
    for command in (
        world.registry.get(GetProgram(caller="bob", program_id=ONE)),
        world.registry.get(GetProgram(caller="bob", name="hello")),
        world.registry.resolve(ResolveRun(caller="bob", program_id=ONE)),
        world.registry.update(UpdateProgram(caller="bob", program_id=ONE, cost=1)),
        world.registry.delete(DeleteProgram(caller="bob", program_id=ONE)),
        world.add("second", caller="bob"),
    ):
        with pytest.raises(NotFound):
            await command


async def test_a_public_program_is_seen_and_run_by_all_and_changed_by_its_owner(world: World) -> None:
    program = await world.create(visibility=Visibility.PUBLIC)
    assert (await world.registry.get(GetProgram(caller="bob", program_id=ONE))).program == program
    assert (await world.registry.resolve(ResolveRun(caller="bob", program_id=ONE))).run.program_id == ONE
    with pytest.raises(NotFound):
        await world.registry.get(GetProgram(caller="bob", name="hello"))
    for command in (
        world.registry.update(UpdateProgram(caller="bob", program_id=ONE, cost=1)),
        world.registry.delete(DeleteProgram(caller="bob", program_id=ONE)),
    ):
        with pytest.raises(Forbidden):
            await command


async def test_what_a_job_runs_is_fixed_by_version_and_limits(world: World) -> None:
    await world.create(limits=LimitOverrides(wall_seconds=5), max_attempts=1)
    first = world.programs.programs[ONE].latest
    await world.add("second")
    newest = (await world.registry.resolve(ResolveRun(caller="alice", name="hello"))).run
    assert (newest.version, newest.max_attempts) == (2, 1)
    assert newest.limits == Limits(wall_seconds=5)
    old = (await world.registry.resolve(ResolveRun(caller="alice", name="hello", version=1))).run
    assert (old.version, old.bundle) == (1, first.bundle)
    with pytest.raises(NotFound, match="has no version 3; its newest is 2"):
        await world.registry.resolve(ResolveRun(caller="alice", name="hello", version=3))


async def test_an_update_changes_what_it_gives(world: World) -> None:
    await world.create(description="old", cost=1)
    update = UpdateProgram(caller="alice", program_id=ONE, description="new", name="other")
    changed = (await world.registry.update(update)).program
    assert (changed.description, changed.name, changed.cost) == ("new", "other", 1)
    await world.create(TWO)
    with pytest.raises(NameTaken):
        await world.registry.update(UpdateProgram(caller="alice", program_id=ONE, name="hello"))


async def test_programs_are_listed_newest_first_in_pages(world: World) -> None:
    for number in range(3):
        await world.create(f"{number:032x}", name=f"p{number}")
    await world.create(NOBODY, caller="bob")
    first = await world.registry.list(ListPrograms(caller="alice", limit=2))
    assert ([each.name for each in first.programs], first.total) == (["p2", "p1"], 3)
    rest = await world.registry.list(ListPrograms(caller="alice", limit=2, cursor=first.next_cursor))
    assert ([each.name for each in rest.programs], rest.next_cursor) == (["p0"], None)


async def test_a_deleted_program_is_gone_and_its_name_free(world: World) -> None:
    await world.create()
    await world.registry.delete(DeleteProgram(caller="alice", program_id=ONE))
    with pytest.raises(NotFound):
        await world.registry.resolve(ResolveRun(caller="alice", program_id=ONE))
    assert world.bundles.blobs, "jobs that run it still need the bundle"
    await world.create(TWO)


async def test_a_program_is_named_in_one_way(world: World) -> None:
    for command in (
        GetProgram(caller="alice"),
        GetProgram(caller="alice", program_id=ONE, name="hello"),
    ):
        with pytest.raises(InvalidRequest):
            await world.registry.get(command)


async def test_a_programs_quota_reaches_its_runs_and_can_be_changed(world: World) -> None:
    assert (await world.create(quota=Quota(running=2))).quota == Quota(running=2)
    run = (await world.registry.resolve(ResolveRun(caller="alice", program_id=ONE))).run
    assert run.quota == Quota(running=2)
    await world.registry.update(UpdateProgram(caller="alice", program_id=ONE, quota=Quota(queued=7)))
    run = (await world.registry.resolve(ResolveRun(caller="alice", program_id=ONE))).run
    assert run.quota == Quota(queued=7)


async def test_a_project_is_kept_as_its_canonical_zip_with_what_it_needs(world: World) -> None:
    world.inspector.found = Project(
        kind=ProgramKind.TEMPLATE,
        canonical=b"zip",
        name="said",
        description="It adds.",
        resources=Resources(cpus=2),
        requirements=("one", "two"),
        signature='{"input": {}, "check": {}}',
    )
    program = await world.create(kind=None, name=None)
    latest = program.latest
    assert (program.name, program.description, program.kind) == ("said", "It adds.", ProgramKind.TEMPLATE)
    assert latest.bundle == world.bundles.stored(b"zip")
    assert latest.environment == EnvironmentSpec(requirements=Payload(text='["one", "two"]'))
    resolved = await world.registry.resolve(ResolveRun(caller="alice", program_id=ONE))
    assert (resolved.run.environment, resolved.run.resources.cpus) == (latest.environment, 2)
    assert resolved.signature == latest.signature == Payload(text='{"input": {}, "check": {}}')
    found = await world.registry.get(GetProgram(caller="alice", program_id=ONE, with_source=True))
    assert found.source is None
    assert (await world.add("packed otherwise")).latest.number == 1, "the same files are the same version"


async def test_what_the_command_says_goes_before_what_the_project_says(world: World) -> None:
    world.inspector.found = Project(
        kind=ProgramKind.TEMPLATE, canonical=b"zip", name="said", description="It adds."
    )
    program = await world.create(kind=ProgramKind.CONTAINER, name="given", description="Mine.")
    assert (program.name, program.description, program.kind) == ("given", "Mine.", ProgramKind.CONTAINER)


async def test_a_project_without_a_name_and_a_name_that_is_taken_are_refused(world: World) -> None:
    with pytest.raises(ProgramInvalid) as fault:
        await world.create(kind=None, name=None)
    assert fault.value.field == "name"
    world.inspector.found = Project(kind=ProgramKind.TEMPLATE, canonical=b"zip", name="hello")
    await world.create()
    with pytest.raises(NameTaken):
        await world.create(TWO, kind=None, name=None)


async def test_a_project_that_is_too_large_or_unfit_is_refused(world: World) -> None:
    for source, told in (("x" * 201, "201 bytes; the limit is 200"), ("bad", "it is bad (line 2")):
        with pytest.raises(ProgramInvalid, match=re.escape(told)) as fault:
            await world.create(source=source, kind=ProgramKind.TEMPLATE)
        assert fault.value.field == "bundle"
    assert world.programs.programs == {}


async def test_the_name_of_an_image_is_all_that_its_container_needs(world: World) -> None:
    image = "registry.example:5000/team/name:1.0@sha256:" + "0" * 64
    program = await world.create(source="", kind=ProgramKind.CONTAINER, image=image)
    assert (program.kind, program.latest.image) == (ProgramKind.CONTAINER, image)
    command = AddVersion(caller="alice", program_id=ONE, bundle=world.bundles.stored(b""), image="alpine")
    assert (await world.registry.add_version(command)).program.latest.number == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "x", "image": "alpine"},
        {"kind": ProgramKind.QUAFU, "image": "alpine"},
        {"image": "-rm"},
        {"image": "alpine; rm"},
        {"image": "Alpine"},
        {"image": ""},
    ],
)
async def test_an_image_that_is_none_is_refused(world: World, wrong: dict[str, Any]) -> None:
    with pytest.raises(ProgramInvalid) as fault:
        await world.create(**{"source": "", "kind": ProgramKind.CONTAINER} | wrong)
    assert fault.value.field == "image"
