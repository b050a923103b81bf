"""Files of a job on their way to this machine."""

import hashlib
from pathlib import Path

import httpx
import pytest

from quafu_runtime import Account, AsyncJob, AsyncRuntimeService, Job, RuntimeService, errors
from tests.sdk.stand_in import TOKEN

CONTENT = b"0123456789" * 100_000
NAME = "data/a plot%.png"
JOB = "0" * 32


def answer(request: httpx.Request, *, content: bytes = CONTENT) -> httpx.Response:
    if request.url.path.endswith("/files"):
        file = {"name": NAME, "size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
        return httpx.Response(200, json={"job_id": JOB, "files": [file], "skipped_files": []})
    if request.url.path == f"/v1/jobs/{JOB}/files/{NAME}":
        return httpx.Response(200, content=content)
    return httpx.Response(404, json={"code": "NotFound", "title": "Not found", "detail": request.url.path})


def service(content: bytes = CONTENT) -> RuntimeService:
    transport = httpx.MockTransport(lambda request: answer(request, content=content))
    return RuntimeService(Account(api_token=TOKEN), transport=transport)


def job_of(found: RuntimeService) -> Job:
    return Job(JOB, client=found.client)


def test_a_file_is_written_below_a_folder_or_at_a_path(tmp_path: Path) -> None:
    job = job_of(service())
    assert [file.name for file in job.files()] == [NAME]
    assert job.download(NAME, tmp_path) == tmp_path / "a plot%.png"
    assert job.download(NAME, tmp_path / "other").read_bytes() == CONTENT
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a plot%.png", "home", "other"]


def test_what_is_not_what_was_announced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("before")
    with pytest.raises(errors.Unreachable, match="announced"):
        job_of(service(CONTENT[:-1])).download(NAME, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "before"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["home", "there"]


def test_a_file_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="a plot%"):
        job_of(service()).download("absent", tmp_path)


async def test_the_asynchronous_job_has_the_same(tmp_path: Path) -> None:
    transport = httpx.MockTransport(answer)
    async with AsyncRuntimeService(Account(api_token=TOKEN), transport=transport) as found:
        job = AsyncJob(JOB, client=found.client)
        assert (await job.download(NAME, tmp_path)).read_bytes() == CONTENT
        with pytest.raises(errors.NotFound):
            await job.download("absent", tmp_path)
