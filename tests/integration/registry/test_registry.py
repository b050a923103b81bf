"""The registry on the bus and a real database: what unit tests take for granted of their fakes."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from qrt_chassis.artifacts import ArtifactStore
from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.settings import HealthSettings, MongoSettings
from qrt_chassis.store import open_store
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
from qrt_contracts.faults import NameTaken, NotFound, ProgramInvalid, RuntimeFault
from qrt_contracts.ids import new_id
from qrt_contracts.values import LimitOverrides, Program, ProgramKind, Signature, Visibility
from qrt_registry.compose import compose
from qrt_registry.settings import RegistrySettings
from tests.support.composed import running
from tests.support.projects import project

GOOD = "def run(task, userpub, params):\n    return params\n"


class Client:
    """Uploads bundles and sends commands, as the gateway does."""

    def __init__(self, bus: MemoryBus, artifacts: ArtifactStore) -> None:
        self.bus = bus
        self.artifacts = artifacts
        self.caller = f"alice-{new_id()}"

    async def create(self, name: str = "hello", source: str = GOOD, **more: Any) -> Program:
        bundle = await self.artifacts.put(source.encode())
        fields = {"caller": self.caller, "program_id": new_id()} | more
        found = await self.bus.request(CreateProgram(name=name, bundle=bundle, **fields))
        return found.program

    async def upload(self, archive: bytes, **more: Any) -> Program:
        bundle = await self.artifacts.put(archive)
        command = CreateProgram(caller=self.caller, program_id=new_id(), bundle=bundle, **more)
        return (await self.bus.request(command)).program

    async def add(self, program: Program, source: str) -> Program:
        bundle = await self.artifacts.put(source.encode())
        command = AddVersion(caller=self.caller, program_id=program.id, bundle=bundle)
        return (await self.bus.request(command)).program


@pytest.fixture
async def client(mongo_url: str) -> AsyncIterator[Client]:
    """A client of a registry that runs."""
    mongo = MongoSettings(url=SecretStr(mongo_url))
    settings = RegistrySettings(mongo=mongo, health=HealthSettings(port=0))
    bus = MemoryBus()
    async with open_store(mongo) as store, compose(settings, bus=bus) as registry, running(registry):
        yield Client(bus, ArtifactStore(store))
    await bus.close()


async def test_a_program_comes_back_as_it_was_created(client: Client) -> None:
    program = await client.create(
        visibility=Visibility.PUBLIC,
        description="d",
        cost=0.5,
        limits=LimitOverrides(wall_seconds=7, processes=3),
        max_attempts=2,
    )
    found = await client.bus.request(GetProgram(caller="anybody", program_id=program.id, with_source=True))
    assert (found.program, found.source) == (program, GOOD)
    named = await client.bus.request(GetProgram(caller=client.caller, name="hello"))
    assert named.program == program


async def test_of_many_creations_of_one_name_one_succeeds(client: Client) -> None:
    ends = await asyncio.gather(*(client.create() for _ in range(8)), return_exceptions=True)
    made = [each for each in ends if isinstance(each, Program)]
    assert len(made) == 1
    assert all(isinstance(each, Program | NameTaken) for each in ends)
    page = await client.bus.request(ListPrograms(caller=client.caller))
    assert (list(page.programs), page.total) == (made, 1)


async def test_one_creation_sent_twice_at_once_is_one_program(client: Client) -> None:
    program_id = new_id()
    one, two = await asyncio.gather(
        client.create(program_id=program_id), client.create(program_id=program_id)
    )
    assert one.id == two.id == program_id


async def test_versions_uploaded_at_once_each_have_a_number_of_their_own(client: Client) -> None:
    program = await client.create()
    ends = await asyncio.gather(*(client.add(program, f"{GOOD}# {n}\n") for n in range(3)))
    assert sorted(each.latest.number for each in ends) == [2, 3, 4]
    bundles = set()
    for number in (1, 2, 3, 4):
        run = await client.bus.request(
            ResolveRun(caller=client.caller, program_id=program.id, version=number)
        )
        bundles.add(run.run.bundle.sha256)
    assert len(bundles) == 4
    with pytest.raises(NotFound):
        await client.bus.request(ResolveRun(caller=client.caller, program_id=program.id, version=5))


async def test_a_change_of_name_keeps_names_unique(client: Client) -> None:
    await client.create("one")
    two = await client.create("two")
    with pytest.raises(NameTaken):
        await client.bus.request(UpdateProgram(caller=client.caller, program_id=two.id, name="one"))
    update = UpdateProgram(
        caller=client.caller, program_id=two.id, name="three", limits=LimitOverrides(open_files=99)
    )
    changed = (await client.bus.request(update)).program
    assert (changed.name, changed.limits.open_files, changed.updated_at >= two.updated_at) == (
        "three",
        99,
        True,
    )


async def test_programs_are_paged_newest_first(client: Client) -> None:
    made = [await client.create(f"p{number}") for number in range(3)]
    first = await client.bus.request(ListPrograms(caller=client.caller, limit=2))
    rest = await client.bus.request(ListPrograms(caller=client.caller, limit=2, cursor=first.next_cursor))
    assert [*first.programs, *rest.programs] == made[::-1]
    assert (first.total, rest.next_cursor) == (3, None)


async def test_a_deleted_program_leaves_its_bundle_and_its_name(client: Client) -> None:
    program = await client.create()
    await client.bus.request(DeleteProgram(caller=client.caller, program_id=program.id))
    with pytest.raises(NotFound):
        await client.bus.request(GetProgram(caller=client.caller, program_id=program.id))
    assert await client.artifacts.read_all(program.latest.bundle.sha256, limit=1000) == GOOD.encode()
    await client.create()


@pytest.mark.parametrize("source", ["def run(:", "-" * 1_000_000, "x = 1", "#" * (3 << 20)])
async def test_a_bad_source_is_refused_and_the_registry_lives_on(client: Client, source: str) -> None:
    with pytest.raises(ProgramInvalid):
        await client.create("bad", source)
    with pytest.raises(NotFound):
        await client.bus.request(GetProgram(caller=client.caller, name="bad"))
    assert (await client.create()).latest.number == 1


async def test_names_of_any_script_and_with_dots_and_dollars_are_kept(client: Client) -> None:
    for name in ("变分.vqe", "$set", "a.b.c", "é" * 128):
        await client.create(name)
        found = await client.bus.request(GetProgram(caller=client.caller, name=name))
        assert found.program.name == name


async def test_a_bundle_that_was_never_stored_is_a_fault_not_a_crash(client: Client) -> None:
    command = CreateProgram(
        caller=client.caller,
        program_id=new_id(),
        name="ghost",
        bundle={"sha256": "e" * 64, "size": 10},
    )
    with pytest.raises(RuntimeFault):
        await client.bus.request(command)


async def test_a_project_is_kept_in_one_form_with_what_it_says_of_itself(client: Client) -> None:
    said = {"name": "adder", "description": "Adds.", "resources": {"cpu": 2}}
    uploaded = project("def run(data: dict): return data", {"planqk.json": json.dumps(said)})
    program = await client.upload(uploaded, name=None, kind=None)
    assert (program.name, program.description, program.kind) == ("adder", "Adds.", ProgramKind.TEMPLATE)
    resolved = await client.bus.request(ResolveRun(caller=client.caller, program_id=program.id))
    assert (resolved.run.resources.cpus, resolved.run.kind) == (2, ProgramKind.TEMPLATE)
    assert resolved.signature is not None
    assert Signature.model_validate_json(resolved.signature.text or "").check["required"] == ["data"]
    stored = await client.artifacts.read_all(resolved.run.bundle.sha256, limit=1 << 20)
    with zipfile.ZipFile(io.BytesIO(stored)) as members:
        assert members.namelist() == ["planqk.json", "src/__init__.py", "src/program.py"]


async def test_a_project_that_cannot_run_is_refused_and_nothing_is_stored(client: Client) -> None:
    with pytest.raises(ProgramInvalid, match="no function `run`") as caught:
        await client.upload(project("x = 1"), name="project", kind=ProgramKind.TEMPLATE)
    assert caught.value.field == "bundle"
    assert (await client.bus.request(ListPrograms(caller=client.caller))).total == 0


async def test_versions_are_paged_newest_first(client: Client) -> None:
    program = await client.create()
    for number in (2, 3):
        await client.add(program, f"{GOOD}# {number}\n")
    first = await client.bus.request(ListVersions(caller=client.caller, program_id=program.id, limit=2))
    rest = await client.bus.request(
        ListVersions(caller=client.caller, program_id=program.id, limit=2, cursor=first.next_cursor)
    )
    assert [each.number for each in (*first.versions, *rest.versions)] == [3, 2, 1]
    assert (first.total, rest.next_cursor) == (3, None)
    assert rest.versions[0].bundle == program.latest.bundle
    last = ListVersions(caller=client.caller, program_id=program.id, cursor="1")
    assert (await client.bus.request(last)).versions == ()
