"""The published runtime interface, Python Template, sentence by sentence, by uploaded projects."""

import asyncio
import hashlib
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from qrt_contracts.ids import new_id
from tests.support.projects import archive, project, tar_of
from tests.system.client import Api
from tests.system.composition import Composition
from tests.system.platform import Platform, Service

pytestmark = [pytest.mark.kipu, pytest.mark.asyncio(loop_scope="session")]

EXAMPLE = {"data": {"values": [1, 2, 3]}, "params": {"round_up": True}}
"""The published example of an input."""


@pytest_asyncio.fixture(loop_scope="session")
async def platform(composition: Composition, api: Api) -> AsyncIterator[Platform]:
    yield Platform(api.http, composition.url)


# --- Lifecycle -----------------------------------------------------------------------------------------


async def test_one_endpoint_submits_and_others_are_polled_for_the_status_and_the_result(
    platform: Platform,
) -> None:
    service = await platform.service("""
        import time
        def run(data, params):
            time.sleep(1)
            return {"done": True}
    """)
    started = await service.start(EXAMPLE)
    assert started.status_code == 201
    assert started.json()["status"] in ("PENDING", "RUNNING")
    where = started.headers["location"]
    assert where == f"{service.url}/{started.json()['id']}"
    assert (await platform.http.get(f"{where}/result")).status_code == 404
    seen = set()
    async with asyncio.timeout(30):
        while (status := (await platform.http.get(where)).json()["status"]) != "SUCCEEDED":
            seen.add(status)
            await asyncio.sleep(0.1)
    assert seen <= {"PENDING", "RUNNING"}
    assert (await platform.http.get(f"{where}/result")).json()["done"] is True
    listed = (await platform.http.get(service.url)).json()
    assert [each["id"] for each in listed] == [started.json()["id"]]


async def test_the_published_skeleton_of_run_is_a_program(platform: Platform) -> None:
    service = await platform.service("""
        from typing import Any, Dict
        def run(data: Dict[str, Any], params: Dict[str, Any]) -> Dict[str, Any]:
            pass
    """)
    ended = await service.run(EXAMPLE)
    assert (ended.status, ended.data, ended.files) == ("SUCCEEDED", {}, [])


BROKEN: list[tuple[dict[str, str], str]] = [
    ({"src/program.py": "def run(): pass"}, "src/__init__.py"),
    ({"src/__init__.py": ""}, "src/program.py"),
    ({"src/__init__.py": "", "src/program.py": "def main(): pass"}, "`run`"),
    ({"src/__init__.py": "", "src/program.py": "def run(:"}, "line 1"),
    ({"src/__init__.py": "", "src/program.py": "def run(): pass", "../x": ""}, "leads out of the project"),
]


async def test_the_src_package_must_contain_an_init_and_a_program_with_run(platform: Platform) -> None:
    async def refused(members: dict[str, str], told: str) -> None:
        packed = archive({name: text.encode() for name, text in members.items()})
        name = f"bad-{new_id()}"
        reply = await platform.upload(packed, name=name)
        assert reply.status_code == 422, reply.text
        assert told in reply.json()["detail"]
        assert reply.json()["errors"][0]["pointer"] == "/archive"
        listed = (await platform.http.get("/v1/programs", params={"name": name})).json()
        assert listed["programs"] == []

    await asyncio.gather(*(refused(*each) for each in BROKEN))


async def test_each_execution_is_a_new_process_that_ends_when_run_returns_or_raises(
    platform: Platform,
) -> None:
    service = await platform.service("""
        import threading, time
        CALLS = []
        def run(fail: bool = False):
            CALLS.append(1)
            threading.Thread(target=time.sleep, args=(600,)).start()
            if fail:
                raise ValueError("told to fail")
            return {"calls": len(CALLS)}
    """)
    for _ in range(2):
        assert (await service.run()).data == {"calls": 1}
    failed = await service.run({"fail": True})
    assert (failed.status, failed.data["title"], failed.data["detail"]) == (
        "FAILED",
        "ValueError",
        "told to fail",
    )


# --- Input ---------------------------------------------------------------------------------------------


async def test_the_published_models_take_the_published_input_and_give_the_published_result(
    platform: Platform,
) -> None:
    service = await platform.service("""
        from typing import Any, Dict, List
        from pydantic import BaseModel

        class InputData(BaseModel):
          values: List[float]

        class InputParams(BaseModel):
          round_up: bool

        def run(data: InputData, params: InputParams) -> Dict[str, Any]:
          assert params.round_up is True
          return {"sum": int(sum(data.values))}
    """)
    ended = await service.run(EXAMPLE)
    where = f"{service.url}/{ended.id}"
    assert list(ended.result) == ["sum", "_embedded", "_links"]
    assert ended.result["sum"] == 6
    assert ended.result["_links"] == {
        "self": {"href": f"{where}/result"},
        "status": {"href": where},
        "output.json": {"href": f"{where}/result/output.json"},
    }
    assert ended.result["_embedded"]["status"]["id"] == ended.id
    assert ended.result["_embedded"]["status"]["status"] == "SUCCEEDED"
    assert (await ended.file("output.json")).json() == {"sum": 6}


ANNOTATED = """
    from __future__ import annotations
    import asyncio
    import enum
    from datetime import date, datetime, timedelta
    from typing import Any, Dict, List, Optional, Union
    from pydantic import BaseModel, Field

    class Colour(enum.Enum):
        RED = "r"

    class Point(BaseModel):
        x: float
        y: float = 0.5

    class Settings(BaseModel):
        points: List[Point] = Field(default_factory=list, max_length=2)
        at: Optional[datetime] = None

    async def run(
        number: int, flag: bool, text: str, settings: Settings, colour: Colour,
        either: Union[int, List[str]], maybe: Optional[Point], day: date, table: Dict[str, List[int]],
        *, anything, shots: int = 100, defaults: Settings, **others: Any,
    ):
        await asyncio.sleep(0)
        assert isinstance(colour, Colour) and isinstance(day, date) and others.keys() == {"other"}
        return {"took": [number, flag, text, settings, colour, either, maybe, day, table, anything, shots],
                "others": others, "defaults": defaults}
"""
FITTING: dict[str, Any] = {
    "number": 3, "flag": False, "text": "abc",
    "settings": {"points": [{"x": 1}], "at": "2024-01-02T03:04:05Z"},
    "colour": "r", "either": ["a"], "maybe": None, "day": "2024-02-29", "table": {"a": [1]},
    "anything": [None], "other": {"a": 1}, "$tags": ["seed"], "$other": 1,
}  # fmt: skip


async def test_top_level_properties_are_the_arguments_of_run_by_name_and_by_its_annotations(
    platform: Platform,
) -> None:
    service = await platform.service(ANNOTATED)
    ended = await service.run(FITTING)
    assert ended.status == "SUCCEEDED", ended.data
    assert ended.data == {
        "took": [
            3, False, "abc", {"points": [{"x": 1.0, "y": 0.5}], "at": "2024-01-02T03:04:05Z"}, "r", ["a"],
            None, "2024-02-29", {"a": [1]}, [None], 100,
        ],
        "others": {"other": {"a": 1}}, "defaults": {"points": [], "at": None},
    }  # fmt: skip
    wrong = FITTING | {
        "number": "x", "settings": {"points": [{}, {"x": "no"}]}, "colour": "green", "table": {"a": [1, "b"]},
    }  # fmt: skip
    del wrong["day"]
    refused = await service.start(wrong)
    assert refused.status_code == 422
    told = {each["pointer"] for each in refused.json()["errors"]}
    assert {
        "/number", "/settings/points/0/x", "/settings/points/1/x", "/colour", "/table/a/1", "/day",
    } <= told  # fmt: skip
    assert len((await platform.http.get(service.url)).json()) == 1
    described = (await platform.http.get(f"{service.url}/openapi.json")).json()
    assert "Settings" in json.dumps(described)


async def test_the_input_must_be_a_valid_json_object(platform: Platform) -> None:
    service = await platform.service("def run(**given): return given")
    headers = {"Content-Type": "application/json"}
    for body in ("[]", '"text"', "3", "null", "{", ""):
        refused = await platform.http.post(service.url, content=body, headers=headers)
        assert refused.status_code == 400, (body, refused.text)
    assert (await platform.http.get(service.url)).json() == []


async def test_input_files_stand_in_their_directory(platform: Platform) -> None:
    service = await platform.service("""
        import os
        from pathlib import Path
        def run(data, params):
            place = Path(os.environ["INPUT_DIRECTORY"])
            print(place)
            return {path.name: path.read_text() for path in sorted(place.iterdir())}
    """)
    ended = await service.run(EXAMPLE | {"$tags": ["a"]})
    assert {name: json.loads(text) for name, text in ended.data.items()} == {
        "data.json": {"values": [1, 2, 3]},
        "params.json": {"round_up": True},
    }
    assert await ended.log() == ["/var/runtime/input"] or await ended.isolation() != "jail"


# --- Output --------------------------------------------------------------------------------------------

RETURNS = """
    import dataclasses, datetime, decimal, enum, math
    import numpy
    from pydantic import BaseModel

    class Sum(BaseModel):
        sum: float

    @dataclasses.dataclass
    class Point:
        x: float
        at: datetime.date = datetime.date(2024, 1, 2)

    def run(kind: str):
        return {
            "dict": {"sum": 6}, "model": Sum(sum=6), "dataclass": Point(1.5), "list": [1, "a", None],
            "tuple": (1, 2), "text": "six", "int": 6, "float": 0.5, "bool": False, "none": None,
            "array": numpy.arange(4).reshape(2, 2), "numbers": {"a": numpy.float64(0.5), "b": numpy.int8(3)},
            "others": {"set": {2, 1}, "complex": 1 + 2j, "bytes": b"ab", "nan": math.nan,
                       "decimal": decimal.Decimal("1.10")},
            "object": {"a": [1, {"b/c": object()}]}, "surrogate": {"text": "\\ud800"},
        }[kind]
"""


async def test_what_run_returns_has_one_json_form_each(platform: Platform) -> None:
    service = await platform.service(RETURNS)
    expected: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "dict": ({"sum": 6}, {"output.json": {"sum": 6}}),
        "model": ({"sum": 6.0}, {"output.json": {"sum": 6.0}}),
        "dataclass": ({"x": 1.5, "at": "2024-01-02"}, {"output.json": {"x": 1.5, "at": "2024-01-02"}}),
        "list": ({}, {"output.json": [1, "a", None]}),
        "tuple": ({}, {"output.json": [1, 2]}),
        "text": ({}, {"output.txt": "six"}),
        "int": ({}, {"output.txt": 6}),
        "float": ({}, {"output.txt": 0.5}),
        "bool": ({}, {"output.txt": False}),
        "none": ({}, {}),
        "array": ({}, {"output.json": [[0, 1], [2, 3]]}),
        "numbers": ({"a": 0.5, "b": 3}, {"output.json": {"a": 0.5, "b": 3}}),
    }
    other = {
        "set": [1, 2], "complex": {"real": 1.0, "imag": 2.0}, "bytes": "YWI=", "nan": None, "decimal": "1.10",
    }  # fmt: skip
    expected["others"] = (other, {"output.json": other})

    async def check(kind: str) -> None:
        ended = await service.run({"kind": kind})
        read = {name: (await ended.file(name)).json() for name in ended.files}
        assert (kind, ended.status, ended.data, read) == (kind, "SUCCEEDED", *expected[kind])

    async def refused(kind: str, place: str) -> None:
        ended = await service.run({"kind": kind})
        assert (ended.status, ended.data["code"], ended.data["title"]) == ("FAILED", *["InvalidResult"] * 2)
        assert place in ended.data["detail"]

    await asyncio.gather(*map(check, expected), refused("object", "/a/1/b~1c"), refused("surrogate", "/text"))


async def test_any_file_written_to_the_output_directory_is_output(platform: Platform) -> None:
    service = await platform.service("""
        import os, socket
        from pathlib import Path
        def run(data: dict, params: dict):
            place = Path(os.environ["OUTPUT_DIRECTORY"])
            print(place)
            (place / "result.txt").write_text("0123456789")
            (place / "plots" / "first").mkdir(parents=True)
            (place / "plots" / "first" / "a b.svg").write_bytes(b"<svg/>")
            (place / "link").symlink_to("/etc/passwd")
            (place / "folder-link").symlink_to("/etc")
            os.mkfifo(place / "pipe")
            os.chdir(place)
            socket.socket(socket.AF_UNIX).bind("socket")
            return {"sum": 6}
    """)
    ended = await service.run(EXAMPLE)
    assert ended.status == "SUCCEEDED", ended.data
    assert sorted(ended.files) == ["output.json", "plots/first/a b.svg", "result.txt"]
    links = ended.result["_links"]
    assert links["result.txt"] == {"href": f"{service.url}/{ended.id}/result/result.txt"}
    for name, content in (("result.txt", b"0123456789"), ("plots/first/a b.svg", b"<svg/>")):
        assert (await platform.http.get(links[name]["href"])).content == content
    part = await ended.file("result.txt", Range="bytes=2-4")
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert (await ended.file("link")).status_code == 404
    listed = (await platform.http.get(f"/v1/jobs/{ended.id.replace('-', '')}/files")).json()
    told = {each["name"]: (each["size"], each["sha256"]) for each in listed["files"]}
    assert told["result.txt"] == (10, hashlib.sha256(b"0123456789").hexdigest())
    job = await ended.job()
    skipped = {each["name"] for each in job["skipped_files"]}
    assert {"link", "folder-link", "pipe", "socket"} <= skipped
    assert "/var/runtime/output" in await ended.log() or job["isolation"] != "jail"


async def test_log_output_is_what_was_printed_or_logged(platform: Platform) -> None:
    service = await platform.service("""
        import logging
        logging.basicConfig(level=logging.INFO)
        def run(data, params):
            print("by print")
            logging.getLogger("mine").warning("by a framework")
    """)
    ended = await service.run(EXAMPLE)
    entries = (await platform.http.get(f"{service.url}/{ended.id}/log")).json()
    assert sorted(each["message"] for each in entries) == ["WARNING:mine:by a framework", "by print"]
    severities = {each["message"][:2]: each["severity"] for each in entries}
    assert severities == {"WA": "WARNING", "by": "INFO"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", each["timestamp"]) for each in entries)


# --- Build process -------------------------------------------------------------------------------------


async def test_the_packages_of_requirements_are_installed_in_an_environment_of_its_own(
    platform: Platform,
) -> None:
    program = """
        import importlib.util
        from typing import Any
        def run(data: Any = None):
            import plain, fast
            return {"plain": plain.VALUE, "fast": fast.answer(),
                    "others": importlib.util.find_spec("quafu") is not None}
    """
    service = await platform.service(program, {"requirements.txt": "# ours\nplain==1.0\nfast\n"})
    ended = await service.run()
    assert ended.status == "SUCCEEDED", ended.data
    assert ended.data == {"plain": 1, "fast": 42, "others": False}
    address = f"/v1/programs/{service.program['id']}/versions/1/build/log"
    log = await platform.http.get(address, params={"follow": True})  # to the build's end
    assert "plain" in log.text
    modern = await platform.service(
        program,
        {"pyproject.toml": '[project]\nname = "x"\ndependencies = ["fast", "plain==1"]\n'},
    )
    assert (await modern.run()).data["fast"] == 42


async def test_a_requirement_that_does_not_exist_is_named_to_its_owner(
    platform: Platform,
) -> None:
    packed = project("def run(): return 1", {"requirements.txt": "plain\nno-such-package==1.0\n"})
    program = (await platform.upload(packed, name=f"broken-{new_id()}")).json()
    build = await platform.built(program)
    assert (build["state"], build["problem"]["code"]) == ("failed", "BuildFailed")
    assert "no-such-package" in build["problem"]["detail"]
    service = Service(platform.http, program, f"{platform.base}/services/{program['name']}")
    ended = await service.run()
    assert (ended.status, ended.data["code"]) == ("FAILED", "BuildFailed")
    assert "no-such-package" in ended.data["detail"]
    mended = project("def run(): return {'a': 1}", {"requirements.txt": "plain\n"})
    added = await platform.http.post(
        f"/v1/programs/{program['id']}/versions", files={"archive": ("p.zip", mended)}
    )
    assert added.status_code == 201, added.text
    assert (await platform.built(program))["state"] == "ready"
    assert (await service.run()).data == {"a": 1}
    listed = (await platform.http.get(f"/v1/programs/{program['id']}/versions")).json()["versions"]
    assert [(each["number"], each["build"]["state"]) for each in listed] == [(2, "ready"), (1, "failed")]


async def test_what_planqk_json_says_is_honoured(platform: Platform) -> None:
    said = {
        "name": f"named-{new_id()}", "description": "Adds up.", "runtime": "PYTHON_TEMPLATE",
        "resources": {"cpu": 1, "memory": 1},
    }  # fmt: skip
    packed = project("def run(data): return {'n': len(data)}", {"planqk.json": json.dumps(said)})
    program = (await platform.upload(packed)).json()
    assert (program["name"], program["description"], program["kind"]) == (
        said["name"],
        "Adds up.",
        "template",
    )
    assert program["latest"]["resources"]["memory_bytes"] == 1 << 30
    service = Service(platform.http, program, f"{platform.base}/services/{said['name']}")
    assert (await service.run({"data": "abc"})).data == {"n": 3}
    with zipfile.ZipFile(io.BytesIO(packed)) as members:
        tarred = tar_of({f"adder/{name}": members.read(name) for name in members.namelist()}, compressed=True)
    again = await platform.http.post(
        f"/v1/programs/{program['id']}/versions", files={"archive": ("adder.tar.gz", tarred)}
    )
    assert again.json()["latest"] == program["latest"] | {"build": again.json()["latest"]["build"]}
    nameless = await platform.upload(project("def run(): pass"))
    assert (nameless.status_code, nameless.json()["field"]) == (422, "name")
