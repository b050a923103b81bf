"""Uploaded projects: what is accepted, in which form it is kept, and why others are refused."""

import io
import json
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrt_contracts.values import ProgramKind, Signature
from qrt_registry.adapters.inspector import ChildInspector
from qrt_registry.adapters.projects.archive import MAX_DEPTH, MAX_FILES, File, files_in
from qrt_registry.adapters.projects.canonical import canonical_zip
from qrt_registry.adapters.projects.judge import judge
from qrt_registry.adapters.projects.unfit import Unfit
from qrt_registry.domain import Finding, Project
from tests.support.projects import archive, project, tar_of

pytestmark = pytest.mark.kipu

RUN = "def run(data, params): return data"
MB = 1 << 20


def judged(upload: bytes, kind: str | None = "template") -> dict[str, Any]:
    report, canonical = judge(upload, kind=kind, most_bytes=8 * MB)
    assert bool(canonical) is ("unfit" not in report)
    return report


def refusal(upload: bytes, kind: str | None = "template") -> str:
    report = judged(upload, kind)
    assert "unfit" in report, report
    return Finding(**report["unfit"]).sentence()


def with_file(name: str, text: str) -> bytes:
    return project(RUN, {name: text})


FILES = {"src/__init__.py": b"", "src/program.py": RUN.encode(), "data/a.txt": b"a"}


@pytest.mark.parametrize(
    "upload",
    [
        archive(FILES),
        archive({f"project/{name}": data for name, data in reversed(FILES.items())}),
        archive(
            {
                **FILES,
                "__MACOSX/x": b"",
                "src/__pycache__/program.pyc": b"",
                ".git/HEAD": b"",
                ".DS_Store": b"",
                "src/._program.py": b"\0",
            }
        ),
        tar_of(FILES),
        tar_of({f"./{name}": data for name, data in FILES.items()}),
        tar_of({f"wrapped/{name}": data for name, data in FILES.items()}, compressed=True),
    ],
    ids=["zip", "wrapped zip", "junk", "tar", "dotted tar", "tar.gz"],
)
def test_the_same_project_is_the_same_bytes_however_it_was_packed(upload: bytes) -> None:
    _, canonical = judge(upload, kind="template", most_bytes=MB)
    assert canonical == canonical_zip({name: File(data) for name, data in FILES.items()})
    with zipfile.ZipFile(io.BytesIO(canonical)) as members:
        assert members.namelist() == sorted(FILES)
        assert {(m.date_time, m.external_attr >> 16) for m in members.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), stat.S_IFREG | 0o644)
        }


def test_a_project_that_is_nothing_but_its_package_is_not_unwrapped() -> None:
    upload = archive({name: data for name, data in FILES.items() if name.startswith("src/")})
    assert set(files_in(upload, most_bytes=MB)) == {"src/__init__.py", "src/program.py"}


def test_a_script_stays_executable() -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as target:
        script = zipfile.ZipInfo("start.sh")
        script.external_attr = (stat.S_IFREG | 0o775) << 16
        target.writestr(script, "#!/bin/sh\n")
        target.writestr("Dockerfile", "FROM scratch\n")
    _, canonical = judge(whole.getvalue(), kind="container", most_bytes=MB)
    with zipfile.ZipFile(io.BytesIO(canonical)) as members:
        assert members.getinfo("start.sh").external_attr >> 16 == stat.S_IFREG | 0o755


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../evil", "leads out of the project"),
        ("a/../../evil", "leads out of the project"),
        ("/etc/passwd", "an absolute path"),
        ("C:/evil", "a drive letter"),
        ("a\\b", "a backslash"),
        ("a\nb", "a control character"),
        ("d/" * (MAX_DEPTH + 1) + "x", "folders deep"),
        ("n" * 201, "a name of more than"),
        ("p/" * 200 + "x", "more than 400 bytes"),
        ("__pycache__/../../x", "leads out of the project"),
    ],
)
def test_a_path_that_no_project_needs_is_refused_and_named(name: str, told: str) -> None:
    for upload in (archive({**FILES, name: b""}), tar_of({**FILES, name: b""})):
        detail = refusal(upload)
        assert told in detail
        assert ascii(name)[1:20] in detail


def zip_with(change: Callable[[zipfile.ZipInfo], None], name: str = "odd") -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as target:
        info = zipfile.ZipInfo(name)
        change(info)
        target.writestr(info, b"/etc/passwd")
    return whole.getvalue()


def mode(number: int) -> Callable[[zipfile.ZipInfo], None]:
    return lambda info: setattr(info, "external_attr", number << 16)


def encrypted(upload: bytes) -> bytes:
    """Return a zip whose members say that they are encrypted."""
    data = bytearray(upload)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + flags
        data[at] |= 1
    return bytes(data)


def nul_in_name() -> bytes:
    return archive({"src/aXb.py": b""}).replace(b"src/aXb.py", b"src/a\0b.py")


def linked(kind: bytes) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as target:
        info = tarfile.TarInfo("odd")
        info.type, info.linkname = kind, "/etc/passwd"
        target.addfile(info)
    return whole.getvalue()


@pytest.mark.parametrize(
    ("upload", "told"),
    [
        (zip_with(mode(stat.S_IFLNK | 0o777)), "a link or a device"),
        (zip_with(mode(stat.S_IFIFO | 0o777)), "a link or a device"),
        (linked(tarfile.SYMTYPE), "a link or a device"),
        (linked(tarfile.LNKTYPE), "a link or a device"),
        (linked(tarfile.CHRTYPE), "a link or a device"),
        (linked(tarfile.FIFOTYPE), "a link or a device"),
        (encrypted(archive({"odd": b"x"})), "'odd' is encrypted"),
        (nul_in_name(), "a control character"),
        (archive({"a": b"", "a/b": b""}), "a file and a folder at once"),
        (archive({"a/b": b"", "a": b""}), "a file and a folder at once"),
        (archive({f"f{n}": b"" for n in range(MAX_FILES + 1)}), f"more than {MAX_FILES} files"),
        (archive({"__pycache__/x.pyc": b""}), "holds no files"),
        (archive({}), "holds no files"),
        (b"PK\x03\x04 and no more", "damaged"),
        (b"\x1f\x8b and no more", "damaged"),
        (tar_of(FILES, compressed=True)[:-20], "damaged"),
        (archive({"a": b"a" * 99}).replace(b"a" * 99, b"b" * 99), "damaged"),
        (RUN.encode(), "no archive"),
        (b"", "no archive"),
    ],
)
def test_an_archive_that_is_odd_or_broken_is_refused_with_a_reason(upload: bytes, told: str) -> None:
    assert told in refusal(upload)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused() -> None:
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as target, tarfile.open(fileobj=tarred, mode="w") as tar:
        for data in (b"1", b"2"):
            target.writestr("a", data)
            tar.addfile(tarfile.TarInfo("a"))
    for whole in (zipped, tarred):
        assert "two files named 'a'" in refusal(whole.getvalue())


def deflated(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            target.writestr(name, data)
    return whole.getvalue()


def lying(upload: bytes) -> bytes:
    """Return a zip that says of each member that it unpacks to one byte."""
    data = bytearray(upload)
    for signature, size in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature) + size
        data[at : at + 4] = struct.pack("<I", 1)
    return bytes(data)


@pytest.mark.parametrize(
    ("upload", "told"),
    [
        (deflated({f"{n}": bytes(MB) for n in range(9)}), "more than 8388608 bytes"),
        (tar_of({"zeros": bytes(9 * MB)}, compressed=True), "more than 8388608 bytes"),
        (tar_of({".git/zeros": bytes(40 * MB)}, compressed=True), "far more than a project may have"),
    ],
    ids=["zip", "tar.gz", "junk"],
)
def test_a_bomb_is_refused_before_it_has_unpacked(upload: bytes, told: str) -> None:
    assert told in refusal(upload)


def test_a_member_that_is_larger_than_it_says_is_refused() -> None:
    assert "damaged" in refusal(lying(deflated({"zeros": bytes(9 * MB)})))


def test_an_archive_may_not_unpack_to_hundreds_of_times_its_size() -> None:
    with pytest.raises(Unfit, match="times its size"):
        files_in(deflated({"zeros": bytes(12 * MB)}), most_bytes=100 * MB)


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(st.dictionaries(NAMES, st.binary(max_size=20), max_size=5), st.binary(max_size=60))
def test_whatever_is_in_an_archive_ends_in_files_or_a_reason(members: dict[str, bytes], noise: bytes) -> None:
    whole = archive({name.replace("\0", "") or "x": data for name, data in members.items()})
    middle = len(whole) // 2
    for upload in (whole, whole[:middle] + noise + whole[middle:], tar_of(members), noise):
        try:
            files = files_in(upload, most_bytes=1000)
        except Unfit:
            continue
        assert not [path for path in files if path.startswith("/") or ".." in path.split("/")]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"src/__init__.py": b""}, "there is no src/program.py with a function run()"),
        ({"src/program.py": RUN.encode()}, "there is no src/__init__.py"),
        ({"program.py": RUN.encode(), "a": b""}, "there is 'program.py'"),
        (FILES | {"src/program.py": b"def run(:"}, "src/program.py: SyntaxError"),
        (
            FILES | {"src/a/b.py": b"x = 1\nif x\n"},
            "src/a/b.py: SyntaxError: expected ':' (line 2, column 5)",
        ),
        (FILES | {"src/program.py": b"x = 1\0"}, "src/program.py: "),
        (FILES | {"src/program.py": b"x = 1"}, "src/program.py: there is no function `run`"),
        (FILES | {"src/program.py": b"def go(): pass"}, "it defines go"),
        (
            FILES | {"src/program.py": b"if 1:\n  class A:\n    def run(): pass"},
            "on line 3, but inside something",
        ),
        (FILES | {"src/program.py": b"run = 3"}, "`run` is not a function"),
        (FILES | {"src/program.py": b"class run: pass"}, "`run` is not a function"),
        (FILES | {"src/program.py": b"def run(a, /, b): pass"}, "takes none for a"),
        (FILES | {"src/program.py": b"(" * 5000}, "src/program.py: "),
    ],
)
def test_a_project_that_cannot_run_is_refused_with_its_place(files: dict[str, bytes], told: str) -> None:
    assert told in refusal(archive(files))


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("requirements.txt", "", []),
        ("requirements.txt", "# nothing\n\n", []),
        (
            "requirements.txt",
            "Flask>=2,<4  # web\nnumpy==1.26.4 ; python_version >= '3.9'\n--prefer-binary\nFlask<4,>=2\n",
            ["flask<4,>=2", 'numpy==1.26.4; python_version >= "3.9"'],
        ),
        ("requirements.txt", "a-b_c[x,B] \\\n  ~= 1.0\n", ["a-b-c[b,x]~=1.0"]),
        (
            "requirements.txt",
            "one==1 --hash=sha256:ab \\\n --hash=sha256:aa",
            ["one==1 --hash=sha256:aa --hash=sha256:ab"],
        ),
        ("requirements.txt", "\ufeffone", ["one"]),
        ("requirements.txt", "one\n--pre\n", ["--pre", "one"]),
        ("pyproject.toml", '[project]\ndependencies = ["Two", "one>1"]', ["one>1", "two"]),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '*'", []),
        ("pyproject.toml", "[tool.ruff]", []),
        ("README.md", "requirements: one", []),
    ],
)
def test_requirements_have_one_form_and_order(name: str, text: str, lines: list[str]) -> None:
    assert judged(with_file(name, text))["requirements"] == lines


def test_requirements_that_powershell_wrote_are_read() -> None:
    upload = archive(FILES | {"requirements.txt": "one==1\r\ntwo\r\n".encode("utf-16")})
    assert judged(upload)["requirements"] == ["one==1", "two"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("requirements.txt", "one\n-e .", "the option -e is not taken"),
        ("requirements.txt", "--index-url=https://x", "the option --index-url"),
        ("requirements.txt", "-r other.txt", "the option -r"),
        ("requirements.txt", "one\n\none @ https://example.org/one.whl", "URL or a path"),
        ("requirements.txt", "git+https://example.org/one", "URL or a path"),
        ("requirements.txt", "./one", "URL or a path"),
        ("requirements.txt", "one-1.0-py3-none-any.whl", "URL or a path"),
        ("requirements.txt", "one\ntwo three", "it is no requirement"),
        ("requirements.txt", "one; " + "(" * 900 + "x", "it is no requirement"),
        ("requirements.txt", "\n".join(f"p{n}" for n in range(501)), "more than 500 packages"),
        ("pyproject.toml", "[project", "no TOML"),
        ("pyproject.toml", "project = 1", "[project] is no table"),
        ("pyproject.toml", "[project]\ndependencies = 'one'", "no list"),
        ("pyproject.toml", "[project]\ndependencies = ['one two']", "pyproject.toml: it is no requirement"),
        ("pyproject.toml", "[tool.poetry.dependencies]\none = '*'", "Poetry's own"),
    ],
)
def test_a_line_that_is_no_requirement_is_refused(name: str, text: str, told: str) -> None:
    detail = refusal(with_file(name, text))
    assert told in detail
    if name == "requirements.txt" and "\n" in text and "more than" not in told:
        assert f"line {text.count(chr(10)) + 1}" in detail


def test_what_planqk_json_says_is_honoured() -> None:
    said = {
        "name": "my-service", "description": "It adds.", "serviceId": "x", "runtime": "PYTHON_TEMPLATE",
        "resources": {"cpu": 2, "memory": 1.5, "gpu": {"type": "T4", "count": 1}},
    }  # fmt: skip
    report = judged(with_file("planqk.json", json.dumps(said)), None)
    assert (report["kind"], report["name"], report["description"]) == ("template", "my-service", "It adds.")
    assert report["resources"] == {"cpus": 2.0, "memory_bytes": 3 << 29, "gpus": 1, "gpu_type": "T4"}
    docker = archive(
        {"Dockerfile": b"FROM scratch\n", "planqk.json": b'{"runtime": "DOCKER", "resources": null}'}
    )
    assert judged(docker, None) == {"kind": "container"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "planqk.json: it is no JSON"),
        ("[]", "must be a JSON object"),
        ("[" * 50_000, "no JSON that can be read"),
        ('{"name": 3}', "`name`"),
        ('{"name": "a/b"}', "`name`"),
        ('{"description": ["x"]}', "`description`"),
        (json.dumps({"description": "x" * 20_001}), "`description` must be a text of at most 20000"),
        ('{"runtime": "JAVA"}', "`runtime` must be one of PYTHON_TEMPLATE, DOCKER"),
        ('{"resources": 1}', "`resources`"),
        ('{"resources": {"cpu": "2"}}', "`resources.cpu`"),
        ('{"resources": {"cpu": true}}', "`resources.cpu`"),
        ('{"resources": {"memory": -1}}', "`resources.memory`"),
        ('{"resources": {"memory": NaN}}', "`resources.memory`"),
        ('{"resources": {"memory": 0.001}}', "`resources.memory`"),
        ('{"resources": {"gpu": "T4"}}', "`resources.gpu`"),
        ('{"resources": {"gpu": {"count": 1.5}}}', "`resources.gpu.count`"),
        ('{"resources": {"gpu": {"type": 1}}}', "`resources.gpu.type`"),
    ],
)
def test_a_malformed_planqk_json_is_refused_by_its_field(text: str, told: str) -> None:
    assert told in refusal(with_file("planqk.json", text), None)


def test_a_planqk_json_that_leaves_its_texts_empty_says_nothing() -> None:
    report = judged(with_file("planqk.json", '{"name": " ", "description": ""}'))
    assert not {"name", "description"} & report.keys()


def test_a_container_needs_a_dockerfile_at_the_root() -> None:
    assert judged(archive({"app/Dockerfile": b"FROM scratch"}), "container") == {"kind": "container"}
    assert "no Dockerfile at the root" in refusal(
        archive({"a": b"", "app/Dockerfile": b"FROM x"}), "container"
    )
    assert "Dockerfile: it is empty" in refusal(archive({"Dockerfile": b"\n"}), "container")


@pytest.mark.parametrize(
    ("program", "required", "properties"),
    [
        ("def run(data, params=None): pass", ["data"], {"data": {}, "params": {}}),
        ("def run(a: int, b: 'str', *c, d: list = [], **e): pass", ["a", "b"],
         {"a": {"type": "integer"}, "b": {"type": "string"}, "d": {"type": "array"}}),
        ("from typing import *\ndef run(a: Dict[str, Any]): pass", [], {"a": {}}),
        ("from typing import Any, Dict, List\ndef run(a: Dict[str, Any], b: List[float]): pass", ["a", "b"],
         {"a": {"type": "object"}, "b": {"type": "array", "items": {"type": "number"}}}),
        ("import typing as t\ndef run(a: t.Optional[int], b: int | str): pass", ["b"],
         {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
          "b": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}),
        ("def run(a: Model, b: list[Model], c: Model | None): pass", ["b"],
         {"a": {}, "b": {"type": "array"}, "c": {}}),
        ("class int: pass\ndef run(a: int): pass", [], {"a": {}}),
        ("def run(a: int = None, b: bool = True): pass", [],
         {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
          "b": {"type": "boolean", "default": True}}),
        ("async def run(a): pass", ["a"], {"a": {}}),
        ("run = lambda a, b=1: a", ["a"], {"a": {}, "b": {}}),
        ("from .other import run", [], {}),
        ("@wrapped\ndef run(a): pass", [], {}),
    ],
)  # fmt: skip
def test_the_source_tells_a_first_signature(
    program: str, required: list[str], properties: dict[str, Any]
) -> None:
    signature = Signature.model_validate(judged(project(program))["signature"])
    assert signature.check["required"] == required
    assert signature.check["properties"] == properties


def test_the_docstring_of_run_is_its_summary_and_description() -> None:
    signature = judged(project('def run():\n    """Add up.\n\n    All of it.\n    """\n'))["signature"]
    assert (signature["summary"], signature["description"]) == ("Add up.", "All of it.")


async def test_a_child_process_judges_and_answers_with_the_canonical_project() -> None:
    found = await ChildInspector().project(archive({f"x/{n}": d for n, d in FILES.items()}), kind=None)
    assert isinstance(found, Project), found
    assert found.kind is ProgramKind.TEMPLATE
    assert found.canonical == canonical_zip({name: File(data) for name, data in FILES.items()})
    assert json.loads(found.signature or "")["check"]["required"] == ["data", "params"]
    refused = await ChildInspector(max_unpacked_bytes=10).project(archive(FILES), kind=ProgramKind.TEMPLATE)
    assert isinstance(refused, Finding)
    assert "more than 10 bytes" in refused.detail
