"""What the Kipu surface tells of executions: results, files, logs, interim results."""

import json
import re
from datetime import timedelta

import pytest

from qrt_contracts.faults import FieldError, Problem
from qrt_contracts.states import JobState
from qrt_contracts.values import Encoding, Output, OutputFile, OutputKind
from qrt_gateway.kipu.shapes import severity
from tests.unit.gateway.services import ended, started
from tests.unit.gateway.world import World

pytestmark = pytest.mark.kipu


async def test_a_result_is_merged_with_the_execution_and_absolute_links(gateway: World, service: str) -> None:
    files = (
        OutputFile(name="output.json", size=12, sha256="a" * 64),
        OutputFile(name="result.txt", size=1, sha256="b" * 64),
        OutputFile(name="deep/ä ?.txt", size=1, sha256="b" * 64),
    )
    path = await ended(gateway, service, result='{"sum": 6}', files=files)
    body = (await gateway.http.get(f"{path}/result")).json()
    own = f"http://gateway{path}"
    assert body == {
        "sum": 6,
        "_embedded": {"status": (await gateway.http.get(path)).json()},
        "_links": {
            "self": {"href": f"{own}/result"},
            "status": {"href": own},
            "output.json": {"href": f"{own}/result/output.json"},
            "result.txt": {"href": f"{own}/result/result.txt"},
            "deep/ä ?.txt": {"href": f"{own}/result/deep/%C3%A4%20%3F.txt"},
        },
    }


async def test_a_program_cannot_take_the_platforms_place(gateway: World, service: str) -> None:
    sha = (await gateway.artifacts.put(b"mine")).sha256
    files = tuple(OutputFile(name=name, size=4, sha256=sha) for name in ("self", "status", "a"))
    result = '{"_links": {"self": {"href": "http://evil"}}, "a": 1, "_embedded": null, "\\u005flinks": 2}'
    path = await ended(gateway, service, result=result, files=files)
    reply = await gateway.http.get(f"{path}/result")
    assert reply.text.count('"_links"') == 1
    body = reply.json()
    assert body["a"] == 1
    assert body["_links"]["self"] == {"href": f"http://gateway{path}/result"}
    assert body["_links"]["status"] == {"href": f"http://gateway{path}"}
    assert list(body["_links"]) == ["self", "status", "output.json", "a"]
    assert body["_embedded"]["status"]["status"] == "SUCCEEDED"
    assert (await gateway.http.get(f"{path}/result/self")).content == b"mine"


@pytest.mark.parametrize(
    ("returned", "file"),
    [
        ("[1, 2]", "output.json"),
        ('"text"', "output.txt"),
        ("1.50", "output.txt"),
        ("true", "output.txt"),
        ("[{}]", "output.json"),
    ],
)
async def test_what_is_no_object_stays_out_of_the_result_and_readable_as_a_file(
    gateway: World, service: str, returned: str, file: str
) -> None:
    path = await ended(gateway, service, result=returned)
    body = (await gateway.http.get(f"{path}/result")).json()
    assert set(body) == {"_embedded", "_links"}
    content = await gateway.http.get(body["_links"][file]["href"])
    assert (content.status_code, content.text) == (200, returned)


@pytest.mark.parametrize("returned", ["{}", '{"none": null, "empty": []}', ' {\n "a": {"_links": 1}\n}\n'])
async def test_a_result_loses_none_of_its_members(gateway: World, service: str, returned: str) -> None:
    path = await ended(gateway, service, result=returned)
    body = (await gateway.http.get(f"{path}/result")).json()
    content = await gateway.http.get(body["_links"]["output.json"]["href"])
    del body["_embedded"], body["_links"]
    assert content.text == returned
    assert body == json.loads(returned)


async def test_nothing_returned_is_no_file(gateway: World, service: str) -> None:
    path = await ended(gateway, service, result="null")
    body = (await gateway.http.get(f"{path}/result")).json()
    assert list(body["_links"]) == ["self", "status"]
    assert (await gateway.http.get(f"{path}/result/output.json")).status_code == 404


async def test_a_main_result_that_the_program_wrote_itself_is_merged(gateway: World, service: str) -> None:
    for content, members in ((b' {"sum": 6}\n', {"sum"}), (b"[1]", set()), (b"no json", set())):
        stored = await gateway.artifacts.put(content)
        files = (OutputFile(name="output.json", size=stored.size, sha256=stored.sha256),)
        path = await ended(gateway, service, result="null", files=files)
        body = (await gateway.http.get(f"{path}/result")).json()
        assert set(body) - {"_embedded", "_links"} == members
        assert (await gateway.http.get(body["_links"]["output.json"]["href"])).content == content


@pytest.mark.parametrize("key", ["numbers", "_numbers", "_links"])
async def test_a_large_result_is_streamed_without_losing_a_digit(
    gateway: World, service: str, key: str
) -> None:
    inner = ", ".join(f"{number}.10" for number in range(2000))
    payload = await gateway.artifacts.wrap(f'{{"{key}": [{inner}], "n": 1.0}}')
    assert payload.artifact is not None
    path = await ended(gateway, service)
    await gateway.scheduler.change(path.rpartition("/")[2].replace("-", ""), result=payload)
    reply = await gateway.http.get(f"{path}/result")
    assert ("1999.10]" in reply.text) is (key != "_links")
    assert '"n": 1.0,' in reply.text
    body = reply.json()
    assert body["_embedded"]["status"]["status"] == "SUCCEEDED"
    assert "output.json" in body["_links"]
    head = await gateway.http.get(f"{path}/result/output.json", headers={"Range": "bytes=0-9"})
    assert (head.status_code, len(head.content)) == (206, 10)


async def test_a_result_before_the_end_is_404_and_asks_to_come_back(gateway: World, service: str) -> None:
    execution = await started(gateway, service)
    reply = await gateway.http.get(f"{service}/{execution['id']}/result")
    assert reply.status_code == 404
    assert reply.json()["retryable"] is True
    assert reply.headers["retry-after"]


async def test_a_failed_executions_result_is_its_problem_document(gateway: World, service: str) -> None:
    problem = Problem(
        code="ProgramError",
        title="The program raised an exception",
        detail="ValueError: told: to fail",
        traceback="Traceback",
        errors=(FieldError(pointer="/a", detail="b"),),
    )
    path = await ended(gateway, service, status=JobState.FAILED, result=None, problem=problem)
    reply = await gateway.http.get(f"{path}/result")
    assert reply.status_code == 200
    body = reply.json()
    assert body.pop("_embedded")["status"]["status"] == "FAILED"
    assert list(body.pop("_links")) == ["self", "status", "output.json"]
    assert body == {
        "type": "about:blank",
        "title": "ValueError",
        "status": 500,
        "detail": "told: to fail",
        "code": "ProgramError",
        "traceback": "Traceback",
        "errors": [{"pointer": "/a", "detail": "b"}],
    }
    assert (await gateway.http.get(f"{path}/result/output.json")).json() == body


async def test_other_failures_have_the_title_of_their_code(gateway: World, service: str) -> None:
    problem = Problem(code="TimeLimitExceeded", title="It ran too long", detail="60 s are over")
    path = await ended(gateway, service, status=JobState.FAILED, result=None, problem=problem)
    body = (await gateway.http.get(f"{path}/result")).json()
    assert (body["title"], body["detail"]) == ("It ran too long", "60 s are over")
    assert body["code"] == "TimeLimitExceeded"


async def test_files_are_sent_to_be_saved_whole_or_in_part(gateway: World, service: str) -> None:
    stored = await gateway.artifacts.put(b"0123456789")
    files = (OutputFile(name="deep/result.txt", size=10, sha256=stored.sha256),)
    path = await ended(gateway, service, files=files)
    for name in ("deep/result.txt", "deep%2Fresult.txt"):
        whole = await gateway.http.get(f"{path}/result/{name}")
        assert whole.content == b"0123456789"
    assert whole.headers["content-disposition"].startswith('attachment; filename="result.txt"')
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-type"] == "application/octet-stream"
    etag = whole.headers["etag"]
    part = await gateway.http.get(f"{path}/result/deep/result.txt", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    beyond = await gateway.http.get(f"{path}/result/deep/result.txt", headers={"Range": "bytes=50-"})
    assert beyond.status_code == 416
    same = await gateway.http.get(f"{path}/result/deep/result.txt", headers={"If-None-Match": etag})
    assert same.status_code == 304
    head = await gateway.http.head(f"{path}/result/deep/result.txt")
    assert (head.status_code, head.headers["content-length"]) == (200, "10")


# --- logs and interim results ---------------------------------------------------------------------


async def test_the_log_is_an_array_of_entries_and_empty_before_the_first(
    gateway: World, service: str
) -> None:
    execution = await started(gateway, service)
    path = f"{service}/{execution['id']}"
    assert (await gateway.http.get(f"{path}/log")).json() == []
    job_id = execution["id"].replace("-", "")
    await gateway.scheduler.change(job_id, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.output(job_id, "one\ntwo\n", "WARNING:root:careful\n", "unfinished")
    gateway.scheduler.page_size = 2
    reply = await gateway.http.get(f"{path}/log")
    assert reply.status_code == 200
    assert [(each["message"], each["severity"]) for each in reply.json()] == [
        ("one", "INFO"),
        ("two", "INFO"),
        ("WARNING:root:careful", "WARNING"),
        ("unfinished", "INFO"),
    ]
    assert all(re.fullmatch(r"[-0-9]{10}T[:0-9]{8}\.\d{9}Z", each["timestamp"]) for each in reply.json())


@pytest.mark.parametrize(
    ("line", "stream", "grave"),
    [
        ("TRACE detail", "stdout", "DEBUG"),
        ("2026-01-01 10:00:00.000 | DEBUG    | module:run:1 - detail", "stdout", "DEBUG"),
        ("2026-01-01 10:00:00,000 - name - INFO - begun", "stderr", "INFO"),
        ("NOTICE: something", "stdout", "NOTICE"),
        ("[WARN] careful", "stdout", "WARNING"),
        ("ERROR:root:failed", "stderr", "ERROR"),
        ("CRITICAL:root:all lost", "stderr", "ERROR"),
        ("no ERRORS so far", "stdout", "INFO"),
        ("an unmarked line", "stderr", "WARNING"),
        ("the runtime's own", "system", "NOTICE"),
        ("an unmarked line", None, "INFO"),
    ],
)
def test_a_line_of_a_log_is_as_grave_as_it_says_or_as_its_stream(
    line: str, stream: str | None, grave: str
) -> None:
    assert severity(line, stream) == grave


async def test_interim_results_come_all_or_the_last(gateway: World, service: str) -> None:
    execution = await started(gateway, service)
    path = f"{service}/{execution['id']}/interim-results"
    assert (await gateway.http.get(path)).json() == []
    assert (await gateway.http.get(path, params={"last": "true"})).json() is None
    job_id = execution["id"].replace("-", "")
    await gateway.scheduler.change(job_id, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.output(job_id, "a log line\n")
    at = gateway.clock.now + timedelta(seconds=1)
    published = [('{"e": -1.0}', Encoding.JSON), ("text", Encoding.TEXT)]
    gateway.scheduler.outputs[job_id, 1] += [
        Output(number=number, kind=OutputKind.INTERIM, at=at, data=data, encoding=encoding)
        for number, (data, encoding) in enumerate(published, start=2)
    ]
    assert (await gateway.http.get(path)).text == '[{"e": -1.0},"text"]'
    assert (await gateway.http.get(path, params={"last": "true"})).json() == "text"
    assert (await gateway.http.get(path, params={"last": "perhaps"})).status_code == 422
