"""The Kipu surface over HTTP, with everything behind it in memory."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from qrt_contracts.ids import new_id
from qrt_contracts.values import Visibility
from qrt_gateway.domain.addresses import Addresses
from tests.unit.gateway.services import ended, started
from tests.unit.gateway.world import World, world

pytestmark = pytest.mark.kipu

SPACED = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")
NAMED = "/services/my%20service"


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


@pytest.mark.parametrize("name", ["0" * 32, "no-id", "00000000-0000-7000-8000-000000000000"])
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


async def test_a_start_that_was_answered_by_an_error_runs_once_when_it_is_repeated(
    gateway: World, service: str
) -> None:
    gateway.scheduler.swallowed = 1
    body = {"data": {"values": [1]}}
    failed = await gateway.http.post(service, json=body)
    assert (failed.status_code, failed.headers["retry-after"]) == (503, "1")
    repeated = await gateway.http.post(service, json=body)
    assert repeated.status_code == 201
    assert list(gateway.scheduler.jobs) == [repeated.json()["id"].replace("-", "")]
    deliberate = await gateway.http.post(service, json=body)
    assert deliberate.json()["id"] != repeated.json()["id"]


async def test_what_one_client_was_not_told_is_nothing_to_another(gateway: World, service: str) -> None:
    program = gateway.registry.programs[service.rpartition("/")[2].replace("-", "")]
    gateway.registry.programs[program.id] = program.model_copy(update={"visibility": Visibility.PUBLIC})
    gateway.scheduler.swallowed = 1
    assert (await gateway.http.post(service, json={})).status_code == 503
    other = await gateway.other.post(service, json={})
    assert other.status_code == 201
    assert len(gateway.scheduler.jobs) == 2


async def test_headers_that_published_clients_add_change_nothing(gateway: World, service: str) -> None:
    headers = {"X-Parent-Execution-Token": "x", "X-OrganizationId": "y", "X-Fern-Language": "Python"}
    reply = await gateway.http.post(service, json={}, headers=headers)
    assert reply.status_code == 201


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
