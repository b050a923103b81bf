"""The Kipu surface over HTTP, with everything behind it in memory."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from qrt_contracts.faults import FieldError, Problem
from qrt_contracts.ids import dashed, new_id
from qrt_contracts.states import JobState
from qrt_contracts.values import Encoding, Output, OutputFile, OutputKind, Visibility
from qrt_gateway.domain.addresses import Addresses
from tests.unit.gateway.world import World, world

pytestmark = pytest.mark.kipu

SPACED = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")
NAMED = "/services/my%20service"


@pytest.fixture
async def service(gateway: World) -> str:
    """The path of a service by its program's id; it is named `my service`."""
    created = await gateway.http.post("/v1/programs", json={"name": "my service", "source": "x"})
    return f"/services/{dashed(created.json()['id'])}"


async def started(gateway: World, service: str, value: Any = None) -> dict[str, Any]:
    reply = await gateway.http.post(service, json=value or {"data": {"values": [1]}})
    assert reply.status_code == 201, reply.text
    execution: dict[str, Any] = reply.json()
    return execution


async def ended(gateway: World, service: str, **fields: Any) -> str:
    """Return the path of an execution that has ended in this way."""
    execution = await started(gateway, service)
    job_id = execution["id"].replace("-", "")
    await gateway.scheduler.change(job_id, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.end(job_id, **fields)
    return f"{service}/{execution['id']}"


# --- starting, listing, looking, cancelling ------------------------------------------------------


async def test_a_start_answers_201_with_the_execution_and_its_absolute_location(
    gateway: World, service: str
) -> None:
    reply = await gateway.http.post(service, json={"data": {"values": [1, 2]}, "params": {"up": True}})
    assert reply.status_code == 201
    execution = reply.json()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", execution["id"])
    assert reply.headers["location"] == f"http://gateway{service}/{execution['id']}"
    assert (execution["status"], execution["type"]) == ("PENDING", "MANAGED")
    assert execution["serviceId"] == service.rpartition("/")[2]
    assert SPACED.fullmatch(execution["createdAt"])
    assert None not in execution.values()
    assert "startedAt" not in execution
    submitted = gateway.scheduler.submissions[-1]
    assert json.loads(submitted.input.text or "") == {"data": {"values": [1, 2]}, "params": {"up": True}}


@pytest.mark.parametrize("slashes", ["", "/", "//"])
@pytest.mark.parametrize("before", ["/", "//"])
async def test_slashes_at_the_ends_make_no_difference_and_nothing_is_redirected(
    gateway: World, service: str, slashes: str, before: str
) -> None:
    base = before + service[1:] + slashes
    assert (await gateway.http.post(f"http://gateway{base}", json={})).status_code == 201
    listed = await gateway.http.get(f"http://gateway{base}")
    assert (listed.status_code, len(listed.json())) == (200, 1)
    path = f"http://gateway{base or '/'}/{listed.json()[0]['id']}"
    for each in (path, path + "/", path + "/log", path + "/log/"):
        assert (await gateway.http.get(each)).status_code == 200, each


async def test_a_service_has_three_spellings_and_links_keep_the_one_that_was_used(
    gateway: World, service: str
) -> None:
    for spelling in (service, service.replace("-", ""), NAMED):
        reply = await gateway.http.post(spelling, json={})
        assert reply.headers["location"].startswith(f"http://gateway{spelling}/")
        assert (await gateway.http.get(reply.headers["location"])).status_code == 200
    assert len((await gateway.http.get(NAMED)).json()) == 3


@pytest.mark.parametrize("body", [b"[1]", b'"text"', b"1", b"null", b"", b"{", b'{"a": NaN}'])
async def test_an_input_that_is_no_object_is_refused_with_a_reason(
    gateway: World, service: str, body: bytes
) -> None:
    reply = await gateway.http.post(service, content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["detail"]
    assert not gateway.scheduler.submissions
    assert not gateway.posts.posts


async def test_tags_and_secrets_are_the_runtimes_and_no_part_of_the_input(
    gateway: World, service: str
) -> None:
    value = {"data": 1, "$tags": ["a", "b"], "$secrets": {"ibmToken": "s3cr3t"}, "$other": 1}
    execution = await started(gateway, service, value)
    assert execution["tags"] == ["a", "b"]
    submitted = gateway.scheduler.submissions[-1]
    assert json.loads(submitted.input.text or "") == {"data": 1}
    assert "s3cr3t" not in submitted.model_dump_json()
    assert submitted.confidential
    await started(gateway, service, {"$tags": ["c"]})
    listed = (await gateway.http.get(service, params={"tag": "a"})).json()
    assert [each["id"] for each in listed] == [execution["id"]]


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("$tags", "a", "/$tags"),
        ("$tags", [1], "/$tags/0"),
        ("$secrets", [], "/$secrets"),
        ("$secrets", {"a": 1}, "/$secrets/a"),
    ],
)
async def test_wrong_tags_and_secrets_are_refused_with_their_place(
    gateway: World, service: str, field: str, value: Any, pointer: str
) -> None:
    reply = await gateway.http.post(service, json={field: value})
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["pointer"] == pointer


async def test_a_list_is_of_one_service_and_caller_newest_first_and_in_pages(
    gateway: World, service: str
) -> None:
    other = await gateway.http.post("/v1/programs", json={"name": "other", "source": "x"})
    await started(gateway, f"/services/{other.json()['id']}")
    ids = [(await started(gateway, service))["id"] for _ in range(5)]
    assert [each["id"] for each in (await gateway.http.get(service)).json()] == ids[::-1]
    found: list[str] = []
    url: httpx.URL | str | None = f"{service}?limit=2"
    while url:
        page = await gateway.http.get(url)
        found += [each["id"] for each in page.json()]
        url = page.links["next"]["url"] if page.links else None
    assert found == ids[::-1]
    await gateway.http.put(f"{service}/{ids[0]}/cancel")
    cancelled = await gateway.http.get(service, params={"status": "CANCELLED"})
    assert [each["id"] for each in cancelled.json()] == [ids[0]]
    assert (await gateway.http.get(service, params={"status": "GONE"})).status_code == 422


async def test_others_see_neither_a_private_service_nor_its_executions(gateway: World, service: str) -> None:
    execution = await started(gateway, service)
    for method, path in (
        ("GET", service),
        ("POST", service),
        ("GET", f"{service}/{execution['id']}"),
        ("GET", f"{service}/{execution['id']}/result"),
        ("GET", f"{service}/{execution['id']}/result/output.json"),
        ("GET", f"{service}/{execution['id']}/log"),
        ("PUT", f"{service}/{execution['id']}/cancel"),
    ):
        reply = await gateway.other.request(method, path, json={} if method == "POST" else None)
        assert reply.status_code == 404, path
        assert reply.json()["detail"]
        assert (await gateway.client(None).request(method, path)).status_code == 401


async def test_users_of_a_public_service_see_only_their_own_executions(gateway: World, service: str) -> None:
    program = gateway.registry.programs[service.rpartition("/")[2].replace("-", "")]
    public = program.model_copy(update={"visibility": Visibility.PUBLIC})
    gateway.registry.programs[program.id] = public
    theirs = await started(gateway, service)
    mine = (await gateway.other.post(service, json={})).json()
    assert [each["id"] for each in (await gateway.other.get(service)).json()] == [mine["id"]]
    assert (await gateway.other.get(f"{service}/{theirs['id']}")).status_code == 404


@pytest.mark.parametrize("name", [str(new_id()), "no-id", "00000000-0000-7000-8000-000000000000"])
async def test_unknown_executions_are_404_with_a_problem(gateway: World, service: str, name: str) -> None:
    for method, path in (
        ("GET", name),
        ("GET", f"{name}/result"),
        ("GET", f"{name}/result/f"),
        ("GET", f"{name}/log"),
        ("GET", f"{name}/interim-results"),
        ("PUT", f"{name}/cancel"),
    ):
        reply = await gateway.http.request(method, f"{service}/{path}")
        assert (reply.status_code, reply.json()["code"]) == (404, "NotFound"), path


async def test_an_execution_of_another_service_is_not_found_here(gateway: World, service: str) -> None:
    other = await gateway.http.post("/v1/programs", json={"name": "other", "source": "x"})
    execution = await started(gateway, f"/services/{other.json()['id']}")
    assert (await gateway.http.get(f"{service}/{execution['id']}")).status_code == 404


async def test_executions_outlive_a_renamed_and_a_deleted_program(gateway: World, service: str) -> None:
    execution = await started(gateway, service)
    program_id = service.rpartition("/")[2].replace("-", "")
    await gateway.http.patch(f"/v1/programs/{program_id}", json={"name": "new name"})
    for base in (NAMED, "/services/new%20name", service):
        assert (await gateway.http.get(f"{base}/{execution['id']}")).status_code == 200, base
    await gateway.http.delete(f"/v1/programs/{program_id}")
    assert (await gateway.http.get(f"{service}/{execution['id']}")).status_code == 200
    assert (await gateway.http.get(service)).status_code == 404


async def test_times_are_utc_with_a_space_and_appear_once_they_are_known(
    gateway: World, service: str
) -> None:
    path = await ended(
        gateway, service, started_at=datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC), result="{}"
    )
    execution = (await gateway.http.get(path)).json()
    assert execution["startedAt"] == "2026-01-02 03:04:05"
    assert SPACED.fullmatch(execution["endedAt"])
    assert execution["status"] == "SUCCEEDED"


async def test_a_cancellation_answers_200_with_the_execution_or_204_as_set(
    service: str, gateway: World
) -> None:
    execution = await started(gateway, service)
    reply = await gateway.http.put(f"{service}/{execution['id']}/cancel")
    assert (reply.status_code, reply.json()["status"]) == (200, "CANCELLED")
    again = await gateway.http.put(f"{service}/{execution['id']}/cancel")
    assert again.json()["status"] == "CANCELLED"
    result = await gateway.http.get(f"{service}/{execution['id']}/result")
    assert result.status_code == 200
    assert set(result.json()) == {"_embedded", "_links"}
    async with world(kipu_cancel_status=204) as strict:
        created = await strict.http.post("/v1/programs", json={"name": "s", "source": "x"})
        execution = await started(strict, f"/services/{created.json()['id']}")
        reply = await strict.http.put(f"/services/s/{execution['id']}/cancel")
        assert (reply.status_code, reply.content) == (204, b"")


async def test_methods_say_what_there_is(gateway: World, service: str) -> None:
    options = await gateway.client(None).options(service)
    assert (options.status_code, options.headers["allow"]) == (204, "GET, POST, HEAD, OPTIONS")
    wrong = await gateway.http.delete(service)
    assert wrong.status_code == 405
    assert "GET" in wrong.headers["allow"]
    assert (await gateway.http.head(service)).status_code == 200
    assert (await gateway.http.post(f"{service}/{new_id()}/cancel")).status_code == 405


async def test_the_token_may_come_as_x_auth_token(gateway: World, service: str) -> None:
    reply = await gateway.client(None).get(service, headers={"X-Auth-Token": "alice-token"})
    assert reply.status_code == 200


# --- results ------------------------------------------------------------------------------------


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
        ("{}", "output.json"),
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


# --- addresses -----------------------------------------------------------------------------------

FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example.org, inner"}


@pytest.mark.parametrize(
    ("addresses", "headers", "base"),
    [
        (Addresses(), {"Host": "runtime:8000"}, "http://runtime:8000"),
        (Addresses(), FORWARDED, "http://gateway"),
        (Addresses(forwarded=True), FORWARDED, "https://api.example.org"),
        (Addresses(forwarded=True), {"X-Forwarded-Proto": "javascript"}, "http://localhost"),
        (Addresses(public_url="https://x.example/rt/", forwarded=True), FORWARDED, "https://x.example/rt"),
        (Addresses(served="http://127.0.0.1:8000"), {"Host": "a/b?c"}, "http://127.0.0.1:8000"),
    ],
)
async def test_addresses_begin_as_clients_reach_the_gateway(
    addresses: Addresses, headers: dict[str, str], base: str
) -> None:
    async with world(addresses=addresses) as gateway:
        await gateway.http.post("/v1/programs", json={"name": "s", "source": "x"})
        reply = await gateway.http.post("/services/s", json={}, headers=headers)
        assert reply.headers["location"].startswith(f"{base}/services/s/")
