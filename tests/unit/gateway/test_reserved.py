"""Tags and secrets of a request."""

from typing import Any

import httpx
import pytest

from qrt_chassis.sealing import for_jobs_of
from qrt_contracts.faults import InvalidRequest
from qrt_contracts.values import Payload, ProgramKind
from qrt_gateway.domain.reserved import MAX_SECRETS, SECRET_BYTES, parted, secrets_of, tags_of
from tests.unit.gateway.test_jobs import submit
from tests.unit.gateway.test_programs import upload
from tests.unit.gateway.world import SEAL, World, world

pytestmark = pytest.mark.kipu

SIGNATURE = Payload(
    text='{"check": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}}'
)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("ibmToken", "SECRET_IBM_TOKEN"),
        ("iqm_token", "SECRET_IQM_TOKEN"),
        ("API_KEY", "SECRET_API_KEY"),
        ("my-key.2", "SECRET_MY_KEY_2"),
        ("IBMToken", "SECRET_IBM_TOKEN"),
    ],
)
def test_a_secret_is_told_as_a_variable(name: str, variable: str) -> None:
    assert secrets_of({name: "value"}) == {variable: "value"}


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (["x"], "/secrets"),
        ({"a": 5}, "/secrets/a"),
        ({"a": ""}, "/secrets/a"),
        ({"a": "hunter2\x00"}, "/secrets/a"),
        ({"1a": "hunter2"}, "/secrets/1a"),
        ({"a=b": "hunter2"}, "/secrets/a=b"),
        ({"ibmToken": "x", "ibm_token": "hunter2"}, "/secrets/ibm_token"),
        ({"a": "hunter2" * SECRET_BYTES}, "/secrets/a"),
        ({f"a{n}": "hunter2" for n in range(MAX_SECRETS + 1)}, "/secrets"),
        ({f"a{n}": "x" * SECRET_BYTES for n in range(3)}, "/secrets"),
    ],
)
def test_secrets_that_cannot_be_told_are_refused_unseen(value: Any, pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        secrets_of(value)
    assert [each.pointer for each in refused.value.errors] == [pointer]
    assert "hunter2" not in str(refused.value.problem())


@pytest.mark.parametrize(
    "value", ["x", {"a": 1}, [1], [""], ["x" * 257], ["a\nb"], [str(n) for n in range(65)]]
)
def test_tags_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest):
        tags_of(value)


def test_what_begins_with_a_dollar_is_no_input() -> None:
    found = parted({"data": 1, "$tags": ["a"], "$secrets": {"b": "c"}, "$other": 2})
    assert (found.input, found.tags, found.secrets) == ({"data": 1}, ["a"], {"b": "c"})


async def service_program(gateway: World) -> dict[str, Any]:
    program = await upload(gateway)
    stored = gateway.registry.programs[program["id"]]
    gateway.registry.programs[program["id"]] = stored.model_copy(update={"kind": ProgramKind.TEMPLATE})
    gateway.registry.signature = SIGNATURE
    return program


async def test_tags_of_a_request_and_of_its_input_find_the_job(gateway: World) -> None:
    program = await service_program(gateway)
    body = {"program_id": program["id"], "tags": ["a", "b"], "input": {"n": 1, "$tags": ["b", "c"]}}
    job = (await submit(gateway, body)).json()
    assert job["tags"] == ["a", "b", "c"]
    assert gateway.scheduler.submissions[0].input.text == '{"n":1}'
    for tag, count in (("c", 1), ("d", 0)):
        listed = (await gateway.http.get("/v1/jobs", params={"tag": tag})).json()
        assert len(listed["jobs"]) == count


async def test_an_input_that_does_not_fit_is_refused_before_it_is_queued(gateway: World) -> None:
    program = await service_program(gateway)
    for value, pointer in (({}, "/n"), (None, "/n"), ({"n": "x"}, "/n"), ([], ""), ("n", "")):
        reply = await submit(gateway, {"program_id": program["id"], "input": value})
        assert (reply.status_code, reply.json()["code"], reply.json()["field"]) == (
            422,
            "InvalidRequest",
            "input",
        )
        assert [each["pointer"] for each in reply.json()["errors"]] == [pointer]
    assert gateway.scheduler.submissions == []
    assert (await submit(gateway, {"program_id": program["id"], "input": {"n": "5"}})).status_code == 201


async def test_secrets_are_sealed_wherever_they_stand(gateway: World) -> None:
    program = await service_program(gateway)
    given = {"ibmToken": "hunter2"}
    for body in ({"input": {"n": 1, "$secrets": given}}, {"input": {"n": 1}, "secrets": given}):
        reply = await submit(gateway, {"program_id": program["id"], **body})
        assert reply.status_code == 201, reply.text
        command = gateway.scheduler.submissions[-1]
        assert "hunter2" not in command.model_dump_json() + reply.text
        assert command.input.text == '{"n":1}'
        opened = SEAL.open(command.confidential or "", purpose=for_jobs_of("alice"))
        assert opened.secrets == {"SECRET_IBM_TOKEN": "hunter2"}


async def test_secrets_that_cannot_be_kept_are_refused_unseen(gateway: World) -> None:
    program = await service_program(gateway)
    for more, field in (
        ({"secrets": {"a": 5}}, "secrets"),
        ({"secrets": {"a": "hunter2\x00"}}, "secrets"),
        ({"input": {"n": 1, "$secrets": ["hunter2"]}}, "$secrets"),
        ({"input": {"n": 1, "$secrets": {"a b=": "hunter2"}}}, "$secrets"),
        ({"input": {"n": 1, "$secrets": {"a": "hunter2"}}, "secrets": {"b": "hunter2"}}, "$secrets"),
    ):
        reply = await submit(gateway, {"program_id": program["id"], "input": {"n": 1}, **more})
        assert (reply.status_code, reply.json()["field"]) == (422, field)
        assert "hunter2" not in reply.text
    assert gateway.scheduler.submissions == []


async def test_without_a_sealing_key_secrets_are_refused() -> None:
    async with world(sealing=False) as gateway:
        program = await service_program(gateway)
        for more in ({"input": {"n": 1, "$secrets": {"a": "x"}}}, {"input": {"n": 1}, "secrets": {"a": "x"}}):
            reply = await submit(gateway, {"program_id": program["id"], **more})
            assert (reply.status_code, reply.json()["code"]) == (422, "InvalidRequest")
            assert "QRT_GATEWAY_SEALING_KEYS" in reply.json()["detail"]
        assert gateway.scheduler.submissions == []
        bare = {"program_id": program["id"], "input": {"n": 1, "$secrets": {}}}
        assert (await submit(gateway, bare)).status_code == 201


async def test_a_repeated_submission_with_secrets_is_known_again_and_its_mark_tells_nothing(
    gateway: World,
) -> None:
    program = await service_program(gateway)
    headers = {"Idempotency-Key": "k"}

    async def sent(secret: str) -> httpx.Response:
        body = {"program_id": program["id"], "input": {"n": 1, "$secrets": {"a": secret}}}
        return await gateway.http.post("/v1/jobs", json=body, headers=headers)

    first, again, other = await sent("hunter2"), await sent("hunter2"), await sent("hunter3")
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json()["id"] == again.json()["id"]
    seals = {each.confidential for each in gateway.scheduler.submissions}
    marks = [each.fingerprint for each in gateway.scheduler.submissions]
    assert (len(seals), marks[0] == marks[1], marks[0] == marks[2]) == (3, True, False)
