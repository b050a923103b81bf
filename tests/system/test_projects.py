"""A project from its folder to its result, with the client library, as a user would."""

import asyncio
from pathlib import Path

import pytest

from qrt_contracts.ids import new_id
from quafu_runtime import Account, RuntimeService, errors
from tests.system.composition import TOKEN, Composition

pytestmark = [pytest.mark.kipu, pytest.mark.asyncio(loop_scope="session")]

PROGRAM = """
import os

def run(data: dict, factor: float = 1) -> dict:
    print("the token is", os.environ["SECRET_IBM_TOKEN"])
    return {"sum": sum(data["values"]) * factor}
"""


async def test_a_folder_is_uploaded_built_run_and_followed(composition: Composition, tmp_path: Path) -> None:
    await asyncio.to_thread(used, Account(api_token=TOKEN, url=composition.url), tmp_path)


def used(account: Account, folder: Path) -> None:
    (folder / "src").mkdir()
    (folder / "src" / "__init__.py").touch()
    (folder / "src" / "program.py").write_text(PROGRAM)
    (folder / "planqk.json").write_text(f'{{"name": "adder-{new_id()}", "description": "adds"}}')
    tag = f"tag-{new_id()}"
    with RuntimeService(account) as service:
        program = service.upload_project(folder)
        assert (program.kind, program.description, program.data) == ("template", "adds", None)
        assert program.wait_for_build(timeout=60).number == 1
        assert "".join(program.build_log(follow=True)) == program.build_log() != ""
        given = {"data": {"values": [1, 2]}, "factor": 2}
        job = service.run(
            program_id=program.program_id, params=given, tags=[tag], secrets={"ibmToken": "hunter2-of-alice"}
        )
        assert job.value(timeout=60) == {"sum": 6}
        assert job.logs() == "the token is ***\n"
        assert [each.id for each in service.jobs(tag=tag)] == [job.id]

        (folder / "requirements.txt").write_text("./not-in-the-archive\n")
        with pytest.raises(errors.ProgramInvalid, match="a requirement is a URL or a path"):
            program.add_version(folder)
        (folder / "requirements.txt").unlink()
        (folder / "src" / "program.py").write_text(PROGRAM.replace("* factor", "+ factor"))
        changed = program.add_version(folder)
        assert [each.number for each in changed.versions()] == [2, 1]
        changed.wait_for_build(timeout=60)
        first = service.run(program_id=program.program_id, params=given, version=1, secrets={"ibmToken": "x"})
        newest = service.run(program_id=program.program_id, params=given, secrets={"ibmToken": "x"})
        assert (first.value(timeout=60), newest.value(timeout=60)) == ({"sum": 6}, {"sum": 5})
