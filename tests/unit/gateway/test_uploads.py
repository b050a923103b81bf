"""Projects as clients upload them, their versions and their builds."""

import io
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from qrt_contracts.endings import Ending, ended
from qrt_contracts.faults import FieldError, ProgramInvalid
from qrt_contracts.values import Build, BuildState, ProgramKind
from tests.unit.gateway.test_programs import SOURCE, upload
from tests.unit.gateway.world import World

pytestmark = pytest.mark.kipu

ARCHIVE = b"PK\x03\x04" + bytes(range(256)) * 20
FILE = {"archive": ("project.zip", ARCHIVE, "application/zip")}


async def sent(
    gateway: World, fields: dict[str, Any] | None = None, *, path: str = "/v1/programs", **more: Any
) -> httpx.Response:
    files = more.pop("files", FILE)
    return await gateway.http.post(path, data=fields or {}, files=files, **more)


async def project(gateway: World, **fields: Any) -> dict[str, Any]:
    reply = await sent(gateway, {"name": "service", **fields})
    assert reply.status_code == 201, reply.text
    program: dict[str, Any] = reply.json()
    return program


def form(*parts: tuple[str, bytes], boundary: str = "b", end: bool = True) -> bytes:
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in parts
    )
    return body + (f"--{boundary}--\r\n".encode() if end else b"")


async def posted(gateway: World, body: bytes | AsyncIterator[bytes]) -> httpx.Response:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return await gateway.http.post("/v1/programs", content=body, headers=headers)


async def test_a_project_is_created_with_its_archive_as_it_was_sent_and_all_its_fields(
    gateway: World,
) -> None:
    fields = {
        "kind": "template",
        "visibility": "public",
        "description": "süß",
        "cost": "1.5",
        "max_attempts": "1",
        "limits": '{"wall_seconds": 5}',
        "quota": '{"running": 2}',
    }
    program = await project(gateway, **fields)
    assert program["kind"] == "template"
    assert (program["description"], program["cost"], program["max_attempts"]) == ("süß", 1.5, 1)
    assert (program["limits"]["wall_seconds"], program["quota"]["running"]) == (5.0, 2)
    assert gateway.artifacts.blobs[program["latest"]["bundle"]["sha256"]] == ARCHIVE
    source = await gateway.http.get(f"/v1/programs/{program['id']}/source")
    assert (source.content, source.headers["content-type"]) == (ARCHIVE, "application/zip")


async def test_what_is_not_said_of_a_project_is_left_to_it(gateway: World) -> None:
    reply = await sent(gateway)
    assert (reply.status_code, reply.json()["name"], reply.json()["kind"]) == (201, "unnamed", "template")


async def test_a_form_is_read_alike_however_it_is_cut_and_whatever_the_order(gateway: World) -> None:
    body = form(("archive", ARCHIVE), ("name", b"late"))

    async def bytewise() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 3):
            yield body[at : at + 3]

    reply = await posted(gateway, bytewise())
    assert (reply.status_code, reply.json()["name"]) == (201, "late")
    assert gateway.artifacts.blobs[reply.json()["latest"]["bundle"]["sha256"]] == ARCHIVE


@pytest.mark.parametrize(
    ("fields", "field", "word"),
    [
        ({"name": ""}, "name", "at least 1"),
        ({"name": "a", "limits": "{"}, "limits", "JSON object"),
        ({"name": "a", "limits": '{"wall_seconds": -1}'}, "limits", "greater than 0"),
        ({"name": "a", "kind": "wasm"}, "kind", "'template'"),
        ({"name": "a", "nmae": "b"}, "nmae", "unknown field"),
        ({"name": "a", "description": "x" * 100_000}, "description", "bytes"),
        ({f"f{n}": "" for n in range(40)}, None, "more than 32 fields"),
    ],
)
async def test_a_wrong_field_is_named(
    gateway: World, fields: dict[str, str], field: str | None, word: str
) -> None:
    reply = await sent(gateway, fields)
    assert reply.status_code in (413, 422), reply.text
    assert reply.json().get("field") == field
    assert word in reply.json()["detail"]
    assert gateway.registry.programs == {}


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (form(("name", b"a")), 422, "as the part `archive`"),
        (form(("archive", b"1"), ("archive", b"2")), 422, "more than once"),
        (form(("name", b"a"), ("name", b"b")), 422, "more than once"),
        (form(("name", b"\xff"), ("archive", b"1")), 422, "not UTF-8"),
        (form(("archive", b"1"), end=False), 400, "last boundary"),
        (b"", 400, "last boundary"),
        (b"nothing of the kind", 400, "multipart/form-data"),
        (b"--b\r\n\r\nx\r\n--b--\r\n", 400, "Content-Disposition"),
        (b"--b\r\n" + b"x" * 9000, 400, "multipart/form-data"),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(
    gateway: World, body: bytes, status: int, word: str
) -> None:
    reply = await posted(gateway, body)
    assert reply.status_code == status, reply.text
    assert word in reply.json()["detail"]
    assert gateway.registry.programs == {}


async def test_a_form_without_a_boundary_is_refused(gateway: World) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    reply = await gateway.http.post("/v1/programs", content=b"x", headers=headers)
    assert (reply.status_code, "boundary" in reply.json()["detail"]) == (400, True)


async def test_an_archive_over_the_limit_is_refused_while_it_arrives(gateway: World) -> None:
    sent_bytes = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent_bytes
        yield form(("name", b"a"), ("archive", b""), end=False)[:-2]
        for _ in range(20_000):
            sent_bytes += 65_536
            yield b"x" * 65_536

    reply = await posted(gateway, endless())
    assert (reply.status_code, reply.json()["field"]) == (413, "archive")
    assert "100000 bytes" in reply.json()["detail"]
    assert sent_bytes < 100 << 20
    assert gateway.artifacts.blobs == {}


async def test_what_the_registry_finds_wrong_names_the_part_that_was_sent(gateway: World) -> None:
    detail = "src/program.py: there is no function run"
    gateway.registry.refusal = ProgramInvalid(
        detail, field="bundle", errors=(FieldError(pointer="/bundle", detail=detail),)
    )
    reply = await sent(gateway, {"name": "a"})
    assert (reply.status_code, reply.json()["field"], reply.json()["detail"]) == (422, "archive", detail)
    assert reply.json()["errors"] == [{"pointer": "/archive", "detail": detail}]
    body = {"name": "a", "source": SOURCE, "kind": "template"}
    reply = await gateway.http.post("/v1/programs", json=body)
    assert (reply.json()["field"], reply.json()["errors"][0]["pointer"]) == ("source", "/source")


async def test_one_source_makes_a_template_and_an_image_a_container(gateway: World) -> None:
    program = await upload(gateway, kind="template")
    blob = gateway.artifacts.blobs[program["latest"]["bundle"]["sha256"]]
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "src/__init__.py": b"",
            "src/program.py": SOURCE.encode(),
        }
    path = f"/v1/programs/{program['id']}"
    again = await gateway.http.post(f"{path}/versions", json={"source": SOURCE})
    assert again.json()["latest"]["bundle"] == program["latest"]["bundle"]
    image = {"name": "boxed", "image": "registry.example/team/name:1"}
    reply = await gateway.http.post("/v1/programs", json=image)
    assert (reply.status_code, reply.json()["kind"]) == (201, "container")
    assert reply.json()["latest"]["image"] == image["image"]
    source = await gateway.http.get(f"/v1/programs/{reply.json()['id']}/source")
    assert (source.status_code, "is the image" in source.json()["detail"]) == (404, True)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "either source or image"),
        ({"source": SOURCE, "image": "i"}, "either source or image"),
        ({"source": SOURCE, "kind": "container"}, "multipart/form-data"),
        ({"image": "i", "kind": "quafu"}, "only a program of kind container"),
    ],
)
async def test_a_program_holds_one_thing(gateway: World, body: dict[str, Any], word: str) -> None:
    reply = await gateway.http.post("/v1/programs", json={"name": "a", **body})
    assert (reply.status_code, word in reply.json()["detail"]) == (422, True), reply.text


async def test_versions_are_listed_newest_first_and_shown_one_by_one(gateway: World) -> None:
    program = await project(gateway)
    path = f"/v1/programs/{program['id']}/versions"
    for content in (b"two", b"three"):
        reply = await sent(gateway, path=path, files={"archive": content})
        assert reply.status_code == 201, reply.text
        number = reply.json()["latest"]["number"]
        assert reply.headers["location"] == f"{path}/{number}"
    first = (await gateway.http.get(path, params={"limit": 2})).json()
    assert ([each["number"] for each in first["versions"]], first["total"]) == ([3, 2], 3)
    rest = (await gateway.http.get(path, params={"cursor": first["next_cursor"]})).json()
    assert ([each["number"] for each in rest["versions"]], rest["next_cursor"]) == ([1], None)
    shown = (await gateway.http.get(f"{path}/2")).json()
    assert shown == first["versions"][1]
    assert set(shown) == {
        "number",
        "kind",
        "bundle",
        "created_at",
        "build",
        "image",
        "built_image",
        "resources",
    }
    assert (await gateway.http.get(f"{path}/latest")).json()["number"] == 3
    for wrong in ("4", "0", "x", "99999999999", "-1", "%E0%A4%A"):
        assert (await gateway.http.get(f"{path}/{wrong}")).status_code == 404, wrong
    assert (await gateway.other.get(path)).status_code == 404
    extra = await sent(gateway, {"name": "new"}, path=path)
    assert (extra.status_code, extra.json()["field"]) == (422, "name")


async def test_a_build_is_read_in_pages_and_as_text_with_its_end(gateway: World) -> None:
    problem = ended(Ending.BUILD_FAILED, "no version of nonesuch==1 was found")
    gateway.registry.build = Build(state=BuildState.FAILED, problem=problem)
    gateway.registry.build_log = ["resolving", "nonesuch==1", "failed"]
    program = await project(gateway)
    path = f"/v1/programs/{program['id']}/versions/1"
    assert program["latest"]["build"]["problem"]["code"] == "BuildFailed"
    first = (await gateway.http.get(f"{path}/build")).json()
    assert (first["lines"], first["last"], first["complete"]) == (["resolving", "nonesuch==1"], 2, False)
    assert (first["program_id"], first["version"]) == (program["id"], 1)
    rest = (await gateway.http.get(f"{path}/build", params={"after": 2, "wait": 1000})).json()
    assert (rest["lines"], rest["complete"], rest["build"]["state"]) == (["failed"], True, "failed")
    assert gateway.registry.build_reads[-1].wait_seconds == 2
    for follow in (False, True):
        log = await gateway.http.get(f"{path}/build/log", params={"follow": follow})
        assert log.text == "resolving\nnonesuch==1\nfailed\n"
        assert log.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await gateway.http.get(f"/v1/programs/{program['id']}/versions/7/build")).status_code == 404


async def test_a_version_is_shown_once_its_build_has_ended(gateway: World) -> None:
    gateway.registry.build = Build(state=BuildState.BUILDING)
    program = await project(gateway)
    path = f"/v1/programs/{program['id']}/versions/1"
    building = (await gateway.http.get(path)).json()
    assert (building["build"]["state"], gateway.registry.build_reads) == ("building", [])
    gateway.registry.build = Build(state=BuildState.READY)
    ready = (await gateway.http.get(path, params={"wait": 50})).json()
    assert ready["build"]["state"] == "ready"
    assert ready["kind"] == ProgramKind.TEMPLATE
    assert gateway.registry.build_reads[0].wait_seconds == 2
