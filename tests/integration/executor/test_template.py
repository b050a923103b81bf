"""Python projects in a real sandbox: arguments, results, files, failures, descriptions."""

import io
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from qrt_chassis.sealing import Seal, for_jobs_of
from qrt_contracts.values import Confidential, Isolation, Limits, ProgramKind
from tests.integration.executor.rig import Rig, Told, rig
from tests.support.projects import project

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.kipu]

SUM = """
    import math
    from typing import Any, Dict, List
    from pydantic import BaseModel
    from .helpers import rounded

    class InputData(BaseModel):
        values: List[float]

    class InputParams(BaseModel):
        round_up: bool

    def run(data: InputData, params: InputParams) -> Dict[str, Any]:
        print("adding", len(data.values))
        return {"sum": rounded(sum(data.values), params.round_up)}
"""
HELPERS = {"src/helpers.py": "import math\n\ndef rounded(x, up):\n    return math.ceil(x) if up else x\n"}
GIVEN = '{"data": {"values": [1, 2, 3]}, "params": {"round_up": true}}'


async def run(executor: Rig, program: str, given: str = "{}", **how: Any) -> Told:
    files = how.pop("files", None)
    return await executor.run(project(program, files), given=given, kind=ProgramKind.TEMPLATE, **how)


async def files_of(executor: Rig, told: Told) -> dict[str, str]:
    blobs = {f.name: await executor.artifacts.read_all(f.sha256, limit=f.size) for f in told.end.files}
    return {name: data.decode() for name, data in blobs.items()}


async def test_the_models_of_the_published_example_take_its_input(executor: Rig) -> None:
    told = await run(executor, SUM, GIVEN, files=HELPERS)
    assert told.end.end == "succeeded", told.end
    assert json.loads(told.result) == {"sum": 6}
    assert told.log == "adding 3\n"
    assert json.loads((await files_of(executor, told))["output.json"]) == {"sum": 6}


async def test_what_does_not_fit_is_told_by_its_pointers_and_leaves_a_problem_document(executor: Rig) -> None:
    told = await run(executor, SUM, '{"data": {"values": [1, "x"]}}', files=HELPERS)
    assert told.code == "InvalidInput"
    assert told.end.problem is not None
    assert [error.pointer for error in told.end.problem.errors] == ["/data/values/1", "/params/round_up"]
    document = json.loads((await files_of(executor, told))["output.json"])
    assert (document["status"], document["code"]) == (422, "InvalidInput")
    assert [error["pointer"] for error in document["errors"]] == ["/data/values/1", "/params/round_up"]


async def test_the_project_is_its_working_directory_and_its_input_is_in_files(executor: Rig) -> None:
    program = """
        import os, json
        from pathlib import Path
        from src.other import NAME
        import user_code.src.other as same
        import src.other

        async def run(data, **rest):
            out = Path(os.environ["OUTPUT_DIRECTORY"])
            (out / "plots").mkdir()
            (out / "plots" / "result.txt").write_text("text")
            read = {p.name: json.loads(p.read_text()) for p in Path(os.environ["INPUT_DIRECTORY"]).iterdir()}
            return {"name": NAME, "same": same is src.other, "local": Path("data/local.txt").read_text(),
                    "input": read, "rest": rest, "data": data}
    """
    told = await run(
        executor,
        program,
        '{"data": null, "more": [1], "$tags": ["x"], "a/b": 1}',
        files={"src/other.py": "NAME = __name__\n", "data/local.txt": "here"},
    )
    assert told.end.end == "succeeded", told.end
    assert json.loads(told.result) == {
        "name": "src.other", "same": True, "local": "here", "data": None,
        "input": {"data.json": None, "more.json": [1]}, "rest": {"more": [1], "a/b": 1},
    }  # fmt: skip
    assert set(await files_of(executor, told)) == {"plots/result.txt", "output.json"}


async def test_a_script_of_the_project_can_be_started_as_it_was_packed(executor: Rig) -> None:
    program = """
        import subprocess
        def run():
            return subprocess.run(["./tool.sh"], capture_output=True, text=True, check=True).stdout
    """
    whole = io.BytesIO(project(program))
    with zipfile.ZipFile(whole, "a") as members:
        script = zipfile.ZipInfo("tool.sh")
        script.external_attr = (stat.S_IFREG | 0o755) << 16
        members.writestr(script, "#!/bin/sh\necho started\n")
    told = await executor.run(whole.getvalue(), given="{}", kind=ProgramKind.TEMPLATE)
    assert (told.end.end, told.result) == ("succeeded", '"started\\n"'), told.end


async def test_an_exception_leaves_a_problem_document_beside_the_other_files(executor: Rig) -> None:
    program = """
        import os

        class HandlerError(Exception):
            def __init__(self, title, detail=None, extensions=None):
                self.title, self.detail, self.extensions = title, detail, extensions

        def run(data):
            for name in ("output.json", "kept.txt"):
                open(os.path.join(os.environ["OUTPUT_DIRECTORY"], name), "w").write("before")
            if data == 1:
                raise HandlerError("No backend", "none is free", {"waited": 3, "status": 1})
            raise ValueError("not so")
    """
    told = await run(executor, program, '{"data": 0}')
    assert (told.code, told.detail) == ("ProgramError", "ValueError: not so")
    assert 'File "src/program.py", line 13, in run' in told.traceback
    found = await files_of(executor, told)
    assert found["kept.txt"] == "before"
    assert json.loads(found["output.json"]) == {
        "type": "about:blank", "status": 500, "title": "ValueError", "detail": "not so",
        "code": "ProgramError",
    }  # fmt: skip
    own = await run(executor, program, '{"data": 1}')
    assert json.loads((await files_of(executor, own))["output.json"]) == {
        "type": "about:blank", "status": 500, "title": "No backend", "detail": "none is free",
        "code": "ProgramError", "waited": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "end", "code", "files"),
    [
        ("return None", "succeeded", None, {}),
        ("return 'text'", "succeeded", None, {"output.txt": '"text"'}),
        ("return 1.5", "succeeded", None, {"output.txt": "1.5"}),
        ("return [1]", "succeeded", None, {"output.json": "[1]"}),
        ("sys.exit(0)", "succeeded", None, {}),
        ("sys.exit(3)", "failed", "ProgramExited", {}),
        ("return {'a': [object()]}", "failed", "InvalidResult", None),
    ],
)
async def test_each_end_has_its_files(
    executor: Rig, lines: str, end: str, code: str | None, files: dict[str, str] | None
) -> None:
    told = await run(executor, f"import sys\n\ndef run():\n    {lines}\n")
    assert (told.end.end, told.end.problem and told.end.problem.code) == (end, code)
    assert files is None or await files_of(executor, told) == files
    if code == "InvalidResult":
        assert "/a/0" in told.detail
    if lines == "sys.exit(0)":
        assert (told.result, "warning: " in told.stream("stderr")) == ("null", True)


async def test_a_project_that_cannot_be_imported_says_where(executor: Rig) -> None:
    told = await run(executor, "import nowhere\n\ndef run(): pass\n")
    assert (told.code, told.detail) == ("ImportFailed", "ModuleNotFoundError: No module named 'nowhere'")
    assert 'File "src/program.py", line 1' in told.traceback


async def test_values_that_the_library_sends_arrive_as_what_they_were(executor: Rig) -> None:
    program = "def run(data, z: complex): return [type(data).__name__, data.sum(), z.imag]"
    array = {"$type": "ndarray", "dtype": "<f8", "shape": [2], "base64": "AAAAAAAA8D8AAAAAAAAAQA=="}
    given = {"data": array, "z": {"$type": "complex", "real": 1, "imag": 2}}
    told = await run(executor, program, json.dumps(given))
    assert told.end.end == "succeeded", told.end
    assert json.loads(told.result) == ["ndarray", 3.0, 2.0]


async def test_an_input_that_its_disk_cannot_hold_is_refused(executor: Rig) -> None:
    big = json.dumps({"data": "x" * (3 << 20)})
    told = await run(executor, "def run(data): return len(data)", big, limits=Limits(file_bytes=1 << 20))
    assert told.code == "InvalidInput"
    assert "File too large" in told.detail


async def test_secrets_are_in_nothing_that_is_told_of_a_failure(mongo_url: str, scratch: Path) -> None:
    key = SecretStr("a sealing key of at least 32 characters")
    secrets = {"SECRET_IBM_TOKEN": "s3cret-of-alice", "SECRET_PIN": "p9"}
    sealed = Seal(key).seal(Confidential(secrets=secrets), purpose=for_jobs_of("alice"))
    program = """
        import os, sys

        def run(data):
            print("the token is", os.environ["SECRET_IBM_TOKEN"], file=sys.stderr)
            print("one", end="-", flush=True)
            os.write(1, os.environ["SECRET_IBM_TOKEN"][:5].encode())
            os.write(1, os.environ["SECRET_IBM_TOKEN"][5:].encode())
            open(os.environ["OUTPUT_DIRECTORY"] + "/mine.txt", "w").write(os.environ["SECRET_PIN"])
            raise ValueError("refused: " + os.environ["SECRET_IBM_TOKEN"] + os.environ["SECRET_PIN"])
    """
    async with rig(mongo_url, scratch, level=Isolation.PROCESS, sealing_keys=key) as executor:
        told = await run(executor, program, '{"data": 1}', confidential=sealed)
        files = await files_of(executor, told)
    assert told.stream("stderr") == "the token is ***\n"
    assert told.stream("stdout") == "one-***"
    assert told.detail == "ValueError: refused: ***"
    assert "ValueError: refused: ***" in told.traceback
    assert json.loads(files["output.json"])["detail"] == "refused: ***"
    assert files["mine.txt"] == "p9"
    assert "s3cret-of-alice" not in told.end.model_dump_json()
