"""Bad input over HTTP: a clear error that names what is wrong, the right status, and no harm."""

import pytest

from qrt_contracts.ids import new_id
from tests.system.client import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

GOOD = "def run(task, userpub, params):\n    return params\n"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def run(task, userpub, params:\n", "line 1"),
        ("x = 1\n", "run"),
        ("def run(a, b):\n    pass\n", "three"),
        ("def run(a, b, c, d):\n    pass\n", "three"),
        ("run = 3\n", "run"),
    ],
    ids=["syntax", "no run", "two arguments", "four arguments", "run is a number"],
)
async def test_a_program_that_cannot_run_is_refused_and_not_stored(api: Api, source: str, told: str) -> None:
    name = f"bad-{new_id()}"
    reply = await api.http.post("/v1/programs", json={"name": name, "source": source})
    assert reply.status_code == 422, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "ProgramInvalid"
    assert told in reply.json()["detail"], reply.json()
    assert (await api.http.get("/v1/programs", params={"name": name})).json()["programs"] == []


async def test_a_name_that_is_taken_is_refused(api: Api) -> None:
    program = await api.upload(GOOD)
    reply = await api.http.post("/v1/programs", json={"name": program["name"], "source": GOOD})
    assert (reply.status_code, reply.json()["code"]) == (409, "NameTaken")


async def test_what_is_unknown_is_not_found(api: Api) -> None:
    nothing = new_id()
    for method, path in (
        ("GET", f"/v1/programs/{nothing}"),
        ("GET", f"/v1/jobs/{nothing}"),
        ("GET", f"/v1/jobs/{nothing}/result"),
        ("GET", f"/v1/jobs/{nothing}/logs"),
        ("GET", f"/v1/jobs/{nothing}/outputs"),
        ("POST", f"/v1/jobs/{nothing}/cancel"),
        ("DELETE", f"/v1/jobs/{nothing}"),
        ("GET", "/v1/nowhere"),
    ):
        reply = await api.http.request(method, path)
        assert (reply.status_code, reply.json()["code"]) == (404, "NotFound"), (path, reply.text)
    reply = await api.http.post("/v1/jobs", json={"program_id": nothing})
    assert (reply.status_code, reply.json()["code"]) == (404, "NotFound")


async def test_another_accounts_private_things_are_not_found_and_public_programs_are(
    api: Api, other: Api
) -> None:
    private = await api.upload(GOOD)
    job = await api.submit(private, 1)
    await api.result(job)
    for path in (f"/v1/programs/{private['id']}", f"/v1/jobs/{job['id']}", f"/v1/jobs/{job['id']}/result"):
        assert (await other.http.get(path)).status_code == 404
    assert (await other.http.post("/v1/jobs", json={"program_id": private["id"]})).status_code == 404
    public = await api.upload(GOOD, visibility="public")
    result = await other.result(await other.submit(public, "theirs"))
    assert result["result"] == "theirs"


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "token"),
        ({"Authorization": "Bearer wrong"}, "token"),
        ({"Authorization": "Basic eDp5"}, "Bearer"),
    ],
    ids=["missing", "wrong", "another scheme"],
)
async def test_without_a_valid_token_nothing_is_told(api: Api, headers: dict[str, str], told: str) -> None:
    del api.http.headers["Authorization"]
    reply = await api.http.get("/v1/jobs", headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (401, "NotAuthenticated")
    assert told in reply.json()["detail"]


async def test_a_revoked_token_no_longer_works(api: Api) -> None:
    issued = (await api.http.post("/v1/tokens", json={"name": "short-lived"})).json()
    headers = {"Authorization": f"Bearer {issued['token']}"}
    assert (await api.http.get("/v1/jobs", headers=headers)).status_code == 200
    assert (await api.http.delete(f"/v1/tokens/{issued['id']}")).status_code == 204
    assert (await api.http.get("/v1/jobs", headers=headers)).status_code == 401


async def test_malformed_json_says_where(api: Api) -> None:
    reply = await api.http.post(
        "/v1/jobs", content=b'{"program_id": }', headers={"Content-Type": "application/json"}
    )
    assert reply.status_code == 400
    assert "line 1" in reply.json()["detail"]


async def test_unknown_fields_are_refused_by_name(api: Api) -> None:
    reply = await api.http.post("/v1/jobs", json={"program_name": "x", "inputs": 1})
    assert reply.status_code == 422
    assert "/inputs" in [each["pointer"] for each in reply.json()["errors"]]


async def test_a_body_over_the_limit_is_refused(api: Api) -> None:
    reply = await api.http.post("/v1/jobs", json={"program_name": "x", "input": "x" * (17 << 20)})
    assert (reply.status_code, reply.json()["code"]) == (413, "TooLarge")


async def test_a_running_job_cannot_be_deleted_and_an_ended_one_can(api: Api) -> None:
    source = "def run(task, userpub, params):\n    import time\n    time.sleep(600)\n"
    job = await api.submit(await api.upload(source))
    await api.until_running(job)
    reply = await api.http.delete(f"/v1/jobs/{job['id']}")
    assert (reply.status_code, reply.json()["code"]) == (409, "Conflict")
    await api.http.post(f"/v1/jobs/{job['id']}/cancel")
    await api.result(job)
    assert (await api.http.delete(f"/v1/jobs/{job['id']}")).status_code == 204
    assert (await api.http.get(f"/v1/jobs/{job['id']}")).status_code == 404


async def test_a_repeated_submission_with_one_key_makes_one_job(api: Api) -> None:
    program = await api.upload(GOOD)
    headers = {"Idempotency-Key": new_id()}
    body = {"program_id": program["id"], "input": 1}
    first = await api.http.post("/v1/jobs", json=body, headers=headers)
    again = await api.http.post("/v1/jobs", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = await api.http.post("/v1/jobs", json=body | {"input": 2}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "Conflict")
