"""Output files over HTTP."""

import pytest

from qrt_contracts.states import JobState
from qrt_contracts.values import OutputFile, SkippedFile
from tests.unit.gateway.world import World

JOB = "0" * 32
CONTENT = bytes(range(250))


async def keep(gateway: World, *names: str) -> None:
    artifact = await gateway.artifacts.put(CONTENT)
    files = tuple(OutputFile(name=name, size=artifact.size, sha256=artifact.sha256) for name in names)
    skipped = (SkippedFile(name="link", reason="it is a symbolic link"),)
    gateway.scheduler.add(JOB, status=JobState.FAILED, attempt=1, files=files, skipped_files=skipped)


async def test_files_are_listed_with_what_was_not_kept(gateway: World) -> None:
    await keep(gateway, "a.txt", "plots/1.png")
    listed = (await gateway.http.get(f"/v1/jobs/{JOB}/files")).json()
    assert [(file["name"], file["size"]) for file in listed["files"]] == [
        ("a.txt", 250),
        ("plots/1.png", 250),
    ]
    assert listed["skipped_files"] == [{"name": "link", "reason": "it is a symbolic link"}]
    assert (await gateway.http.get(f"/v1/jobs/{JOB}")).json()["files"] == listed["files"]


@pytest.mark.parametrize(
    "name", ["a.txt", "plots/deep/1.png", "é ü.bin", "50%25 of it?.txt", 'a"b.txt', "a#b"]
)
async def test_a_file_is_sent_whole_and_only_to_be_saved(gateway: World, name: str) -> None:
    from urllib.parse import quote

    await keep(gateway, name)
    reply = await gateway.http.get(f"/v1/jobs/{JOB}/files/{quote(name)}")
    assert (reply.status_code, reply.content) == (200, CONTENT)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment;")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["accept-ranges"] == "bytes"


async def test_a_range_of_a_file_is_sent(gateway: World) -> None:
    await keep(gateway, "a")
    url = f"/v1/jobs/{JOB}/files/a"
    part = await gateway.http.get(url, headers={"Range": "bytes=100-119"})
    assert (part.status_code, part.content) == (206, CONTENT[100:120])
    assert part.headers["content-range"] == "bytes 100-119/250"
    rest = await gateway.http.get(url, headers={"Range": "bytes=-10", "If-Range": part.headers["etag"]})
    assert (rest.status_code, rest.content) == (206, CONTENT[-10:])
    other = await gateway.http.get(url, headers={"Range": "bytes=-10", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, CONTENT)


async def test_a_range_beyond_the_end_is_refused_with_the_size(gateway: World) -> None:
    await keep(gateway, "a")
    reply = await gateway.http.get(f"/v1/jobs/{JOB}/files/a", headers={"Range": "bytes=250-"})
    assert (reply.status_code, reply.json()["code"]) == (416, "RangeNotSatisfiable")
    assert reply.headers["content-range"] == "bytes */250"


async def test_a_head_request_tells_the_size(gateway: World) -> None:
    await keep(gateway, "a")
    reply = await gateway.http.head(f"/v1/jobs/{JOB}/files/a")
    assert (reply.status_code, reply.headers["content-length"], reply.content) == (200, "250", b"")


@pytest.mark.parametrize("name", ["b", "", "../a", "%2e%2e/a", "a/"])
async def test_there_is_no_other_file(gateway: World, name: str) -> None:
    await keep(gateway, "a")
    assert (await gateway.http.get(f"/v1/jobs/{JOB}/files/{name}")).status_code == 404


async def test_somebody_elses_files_do_not_exist(gateway: World) -> None:
    await keep(gateway, "a")
    assert (await gateway.other.get(f"/v1/jobs/{JOB}/files")).status_code == 404
    assert (await gateway.other.get(f"/v1/jobs/{JOB}/files/a")).status_code == 404
