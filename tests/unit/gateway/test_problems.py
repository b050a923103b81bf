"""Whatever is wrong with a request is answered by a problem document that says what."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from qrt_contracts.faults import FAULTS
from qrt_gateway.handlers.problems import STATUS
from tests.unit.gateway.world import TOKEN, World, world

PROGRAM = {"name": "hello", "source": "def run(task, userpub, params): pass"}


def problem(reply: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = reply.json()
    assert body["status"] == status
    assert body["request_id"] == reply.headers["x-request-id"]
    assert body["title"]
    return body


def test_every_fault_has_a_status() -> None:
    assert set(FAULTS) <= set(STATUS)


async def test_an_unknown_path_is_a_problem(gateway: World) -> None:
    assert "/v1/nowhere" in str(problem(await gateway.http.get("/v1/nowhere"), 404, "NotFound")["detail"])


async def test_a_wrong_method_names_the_right_ones(gateway: World) -> None:
    reply = await gateway.http.put("/v1/programs")
    problem(reply, 405, "MethodNotAllowed")
    assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"name": }', "line 1, column 10"),
        (b"", "line 1"),
        (b'{"name": NaN}', "not valid JSON"),
        (b'{"input": 1e999}', "not valid JSON"),
        (b'{"input": "\\ud800"}', "not valid JSON"),
        (b'{"input": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"input": 18446744073709551616}', "20 digits"),
        (b'{"input": -9223372036854775809}', "19 digits"),
        (b"[1]", "object"),
    ],
)
async def test_what_is_no_json_object_is_refused_with_its_place(
    gateway: World, body: bytes, told: str
) -> None:
    reply = await gateway.http.post(
        "/v1/programs", content=body, headers={"Content-Type": "application/json"}
    )
    assert told in str(problem(reply, 400, "InvalidRequest")["detail"])


async def test_unknown_and_wrong_fields_are_named_by_pointers(gateway: World) -> None:
    body = PROGRAM | {"surprise": 1, "limits": {"wall_seconds": -1}, "visibility": "secret"}
    said = problem(await gateway.http.post("/v1/programs", json=body), 422, "InvalidRequest")
    assert {each["pointer"] for each in said["errors"]} == {  # type: ignore[attr-defined]
        "/surprise",
        "/limits/wall_seconds",
        "/visibility",
    }
    assert "surprise: unknown field" in str(said["detail"])


async def test_what_was_sent_is_not_echoed(gateway: World) -> None:
    secret = "do-not-tell"
    for reply in (
        await gateway.http.post("/v1/programs", json={"name": 1, "source": {"a": secret}, "cost": secret}),
        await gateway.http.get("/v1/jobs", params={"limit": secret}),
        await gateway.client(secret).get("/v1/jobs"),
    ):
        assert reply.status_code in (401, 422)
        assert secret not in reply.text


async def test_a_program_must_be_named_in_one_way(gateway: World) -> None:
    for body in ({}, {"program_id": "1" * 32, "program_name": "x"}):
        reply = await gateway.http.post("/v1/jobs", json=body)
        assert "program_id or program_name" in str(problem(reply, 422, "InvalidRequest")["detail"])


async def test_unknown_and_repeated_query_parameters_are_refused(gateway: World) -> None:
    said = problem(await gateway.http.get("/v1/jobs?limt=3"), 422, "InvalidRequest")
    assert said["field"] == "limt"
    problem(await gateway.http.get("/v1/jobs?limit=3&limit=4"), 422, "InvalidRequest")
    problem(await gateway.http.get("/v1/jobs?cursor=nonsense"), 422, "InvalidRequest")


async def test_a_form_is_not_read(gateway: World) -> None:
    problem(await gateway.http.post("/v1/jobs", data={"a": "b"}), 415, "UnsupportedMediaType")


async def test_json_with_a_charset_and_without_a_type_is_read(gateway: World) -> None:
    body = json.dumps(PROGRAM).encode()
    headers = {"Content-Type": "application/json;charset=UTF-8"}
    assert (await gateway.http.post("/v1/programs", content=body, headers=headers)).status_code == 201
    body = json.dumps(PROGRAM | {"name": "other"}).encode()
    assert (await gateway.http.post("/v1/programs", content=body)).status_code == 201


async def test_a_body_over_the_limit_is_refused_however_it_is_sent(gateway: World) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 10_000

    headers = {"Content-Type": "application/json"}
    for content in (b" " * 100_001, pieces()):
        reply = await gateway.http.post("/v1/jobs", content=content, headers=headers)
        problem(reply, 413, "TooLarge")


@pytest.mark.parametrize("job_id", ["nonsense", "0" * 32, "%00", "..%2f.."])
async def test_an_id_of_nothing_is_not_found(gateway: World, job_id: str) -> None:
    problem(await gateway.http.get(f"/v1/jobs/{job_id}"), 404, "NotFound")


async def test_an_id_may_have_dashes(gateway: World) -> None:
    gateway.scheduler.add("0123456789abcdef0123456789abcdef")
    reply = await gateway.http.get("/v1/jobs/01234567-89ab-cdef-0123-456789abcdef")
    assert reply.json()["id"] == "0123456789abcdef0123456789abcdef"


async def test_doubled_leading_slashes_are_one(gateway: World) -> None:
    assert (await gateway.http.get("http://gateway//v1/account")).json()["name"] == "alice"
    assert (await gateway.http.get("http://gateway////healthz")).status_code == 200


async def test_a_sane_request_id_is_kept_and_another_replaced(gateway: World) -> None:
    reply = await gateway.http.get("/v1/account", headers={"X-Request-Id": "abc-1.2_3"})
    assert reply.headers["x-request-id"] == "abc-1.2_3"
    for unfit in ("x" * 65, "a b", 'a"b'):
        reply = await gateway.http.get("/v1/account", headers={"X-Request-Id": unfit})
        assert reply.headers["x-request-id"] not in ("", unfit)


async def test_a_service_that_does_not_answer_makes_the_request_worth_repeating() -> None:
    async with world(services=False) as alone:
        await alone.bus.close()
        reply = await alone.http.get("/v1/jobs")
        assert problem(reply, 503, "Unavailable")["retryable"] is True
        assert int(reply.headers["retry-after"]) >= 1


async def test_a_database_that_is_away_makes_the_request_worth_repeating(
    gateway: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: str) -> None:
        raise ConnectionError("mongodb://user:secret@10.0.0.1")

    monkeypatch.setattr(gateway.store, "token", away)
    reply = await gateway.http.get("/v1/jobs")
    problem(reply, 503, "Unavailable")
    assert "10.0.0.1" not in reply.text


async def test_a_mistake_of_the_runtime_is_not_explained_outside(
    gateway: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: str) -> None:
        raise ValueError("internal words")

    monkeypatch.setattr(gateway.store, "token", broken)
    reply = await gateway.http.get("/v1/jobs")
    problem(reply, 500, "Internal")
    assert "internal words" not in reply.text


async def test_healthz_needs_no_token(gateway: World) -> None:
    assert (await gateway.client(None).get("/healthz")).status_code == 200


@pytest.mark.parametrize("name", ["api_token", "apitoken", "api-token"])
async def test_quafu_headers_carry_a_token(gateway: World, name: str) -> None:
    reply = await gateway.client(None).get("/v1/account", headers={name: TOKEN})
    assert reply.json()["name"] == "alice"
