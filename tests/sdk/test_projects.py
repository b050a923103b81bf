"""Projects from a folder to a built version, through a real gateway with everything behind it in memory."""

import io
import os
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from qrt_contracts.endings import Ending, ended
from qrt_contracts.faults import ProgramInvalid
from qrt_contracts.values import Build, BuildState
from quafu_runtime import Account, AsyncRuntimeService, BuildFailed, BuildTimeout, errors
from quafu_runtime._project import archive_of
from tests.unit.gateway.world import TOKEN, World, world

pytestmark = pytest.mark.kipu


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world() as built:
        yield built


@pytest.fixture
async def service(gateway: World) -> AsyncIterator[AsyncRuntimeService]:
    account = Account(api_token=TOKEN, url="http://gateway")
    transport = httpx.ASGITransport(gateway.app)
    async with AsyncRuntimeService(account, transport=transport) as open_service:
        yield open_service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with what tools leave behind."""
    root = tmp_path / "project"
    for name, text in {
        "src/__init__.py": "",
        "src/program.py": "def run(data):\n    return data\n",
        "planqk.json": "{}",
        ".git/config": "",
        "src/__pycache__/program.pyc": "",
        ".venv/bin/python": "",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def names(archive: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.namelist()


def test_a_folder_makes_the_same_zip_whenever_it_is_read(folder: Path) -> None:
    first = archive_of(folder)
    os.utime(folder / "planqk.json", (0, 0))
    assert archive_of(str(folder)) == first
    assert names(first) == ["planqk.json", "src/__init__.py", "src/program.py"]


def test_what_is_no_project_is_refused_before_it_is_sent(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequest, match="cannot be read"):
        archive_of(tmp_path / "nothing")
    (folder / "data").symlink_to(tmp_path)
    with pytest.raises(errors.InvalidRequest, match="is a link"):
        archive_of(folder)


async def test_a_folder_and_an_archive_are_uploaded_with_their_fields(
    service: AsyncRuntimeService, gateway: World, folder: Path, tmp_path: Path
) -> None:
    program = await service.upload_project(
        folder, name="süß", description="d", is_public=True, limits={"wall_seconds": 5}, max_attempts=1
    )
    assert (program.name, program.kind, program.version, program.data) == ("süß", "template", 1, None)
    assert (program.is_public, program.limits, program.max_attempts) == (True, {"wall_seconds": 5}, 1)
    assert gateway.artifacts.blobs[program.digest] == archive_of(folder)
    archive = tmp_path / "project.tar.gz"
    archive.write_bytes(b"\x1f\x8b anything")
    second = await program.add_version(archive)
    assert (second.version, gateway.artifacts.blobs[second.digest]) == (2, archive.read_bytes())
    assert [each.number for each in await second.versions()] == [2, 1]
    assert (await service.program(name="süß")).kind == "template"


async def test_a_project_that_is_refused_says_why(
    service: AsyncRuntimeService, gateway: World, folder: Path
) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        await service.upload_project(folder, kind="wasm")
    assert caught.value.errors[0].pointer == "/kind"
    with pytest.raises(errors.InvalidRequest, match="unknown metadata 'colour'"):
        await service.upload_project(folder, colour="red")
    gateway.registry.refusal = ProgramInvalid("src/program.py: there is no function run", field="bundle")
    with pytest.raises(errors.ProgramInvalid, match="there is no function run"):
        await service.upload_project(folder, name="p")


async def test_a_build_is_waited_for_and_its_log_read(
    service: AsyncRuntimeService, gateway: World, folder: Path
) -> None:
    gateway.registry.build = Build(state=BuildState.BUILDING)
    gateway.registry.build_log = ["one", "two", "three"]
    program = await service.upload_project(folder, name="p")
    with pytest.raises(BuildTimeout):
        await program.wait_for_build(timeout=0)
    assert await program.build_log() == "one\ntwo\nthree\n"
    gateway.registry.build = Build(state=BuildState.READY)
    assert (await program.wait_for_build(timeout=10)).build.state is BuildState.READY
    assert [line async for line in await program.build_log(follow=True)] == ["one\n", "two\n", "three\n"]


async def test_a_failed_build_is_an_error_that_says_why(
    service: AsyncRuntimeService, gateway: World, folder: Path
) -> None:
    problem = ended(Ending.BUILD_FAILED, "there is no package nonesuch")
    gateway.registry.build = Build(state=BuildState.FAILED, problem=problem)
    program = await service.upload_project(folder, name="p")
    with pytest.raises(BuildFailed, match="there is no package nonesuch") as caught:
        await program.wait_for_build()
    assert (caught.value.program_id, caught.value.version) == (program.program_id, 1)
    assert caught.value.problem.code == "BuildFailed"


async def test_secrets_go_sealed_and_a_wrong_one_is_not_shown(
    service: AsyncRuntimeService, gateway: World, folder: Path
) -> None:
    program = await service.upload_project(folder, name="p")
    job = await service.run(program_id=program.program_id, secrets={"ibmToken": "hunter2"}, tags=["t"])
    command = gateway.scheduler.submissions[-1]
    assert command.confidential is not None
    assert "hunter2" not in command.model_dump_json()
    assert (await job.refresh()).tags == ("t",)
    with pytest.raises(errors.InvalidRequest) as caught:
        await service.run(program_id=program.program_id, secrets={"a": ["hunter2"]})  # type: ignore[dict-item]
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"
