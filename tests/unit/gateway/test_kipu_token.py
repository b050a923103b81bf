"""OAuth2 clients and their tokens; a gateway that takes any token."""

import base64
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from qrt_gateway.domain.accounts import Caller
from qrt_gateway.service.clients import LIFETIME
from qrt_gateway.settings import GatewaySettings
from tests.unit.gateway.world import World, world

pytestmark = pytest.mark.kipu

GRANT = {"grant_type": "client_credentials"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


async def issued(gateway: World) -> dict[str, Any]:
    reply = await gateway.http.post("/v1/clients", json={"name": "pipeline"})
    assert reply.status_code == 201, reply.text
    client: dict[str, Any] = reply.json()
    return client


async def asked(gateway: World, client: dict[str, Any], **form: str) -> httpx.Response:
    headers = basic(client["id"], client["secret"])
    return await gateway.client(None).post("/token", data=GRANT | form, headers=headers)


async def test_a_client_gets_a_token_of_its_account_by_basic_and_by_form(gateway: World) -> None:
    client = await issued(gateway)
    by_form = GRANT | {"client_id": client["id"], "client_secret": client["secret"]}
    for reply in (await asked(gateway, client), await gateway.client(None).post("/token/", data=by_form)):
        assert reply.status_code == 200, reply.text
        assert reply.headers["cache-control"] == "no-store"
        body = reply.json()
        assert set(body) == {"access_token", "token_type", "expires_in"}
        assert (body["token_type"], body["expires_in"]) == ("Bearer", LIFETIME.total_seconds())
        account = await gateway.client(body["access_token"]).get("/v1/account")
        assert (account.json()["name"], account.json()["admin"]) == ("alice", True)


async def test_a_secret_is_shown_once_and_kept_as_its_hash(gateway: World) -> None:
    client = await issued(gateway)
    token = (await asked(gateway, client)).json()["access_token"]
    listed = await gateway.http.get("/v1/clients")
    assert [each["id"] for each in listed.json()["clients"]] == [client["id"]]
    for secret in (client["secret"], token):
        assert secret not in listed.text
        assert secret not in repr(gateway.store.clients_by_id) + repr(gateway.store.by_digest)
    assert [each["name"] for each in (await gateway.http.get("/v1/tokens")).json()["tokens"]] == ["bootstrap"]
    assert (await gateway.other.get("/v1/clients")).json() == {"clients": []}


async def test_a_token_is_given_again_until_half_its_life_is_over_and_swept_after_its_end(
    gateway: World,
) -> None:
    client = await issued(gateway)
    before = len(gateway.store.by_digest)
    first = (await asked(gateway, client)).json()
    gateway.clock.now += LIFETIME / 3
    again = (await asked(gateway, client)).json()
    assert again["access_token"] == first["access_token"]
    assert again["expires_in"] == LIFETIME.total_seconds() * 2 / 3
    gateway.clock.now += LIFETIME / 3
    second = (await asked(gateway, client)).json()
    assert second["access_token"] != first["access_token"]
    assert (await gateway.client(first["access_token"]).get("/v1/account")).status_code == 200
    gateway.clock.now += LIFETIME + timedelta(seconds=1)
    expired = await gateway.client(first["access_token"]).get("/v1/account")
    assert (expired.status_code, "expired" in expired.json()["detail"]) == (401, True)
    await asked(gateway, client)
    assert len(gateway.store.by_digest) == before + 1


async def test_a_revoked_client_and_its_tokens_are_refused_at_once(gateway: World) -> None:
    client = await issued(gateway)
    token = (await asked(gateway, client)).json()["access_token"]
    assert (await gateway.client(token).get("/v1/account")).status_code == 200
    assert (await gateway.other.delete(f"/v1/clients/{client['id']}")).status_code == 404
    assert (await gateway.http.delete(f"/v1/clients/{client['id']}")).status_code == 204
    assert (await gateway.client(token).get("/v1/account")).status_code == 401
    refused = await asked(gateway, client)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("form", "headers", "status", "error"),
    [
        (GRANT, {}, 401, "invalid_client"),
        (GRANT, basic("nobody", "wrong"), 401, "invalid_client"),
        (GRANT, {"Authorization": "Basic ###"}, 401, "invalid_client"),
        (GRANT, {"Authorization": "Bearer x"}, 401, "invalid_client"),
        (GRANT | {"client_id": "only"}, {}, 401, "invalid_client"),
        ({}, basic("a", "b"), 400, "invalid_request"),
        ({"grant_type": "password"}, basic("a", "b"), 400, "unsupported_grant_type"),
        ("grant_type=client_credentials&grant_type=x", basic("a", "b"), 400, "invalid_request"),
        ("&".join(f"f{n}=1" for n in range(99)), basic("a", "b"), 400, "invalid_request"),
        (b"\xff=\xfe", basic("a", "b"), 400, "invalid_request"),
    ],
)
async def test_refusals_are_those_of_the_standard(
    gateway: World, form: Any, headers: dict[str, str], status: int, error: str
) -> None:
    sent = {"data": form} if isinstance(form, dict) else {"content": form}
    reply = await gateway.client(None).post("/token", headers=headers, **sent)
    assert (reply.status_code, reply.json()["error"]) == (status, error)
    assert reply.json()["error_description"]
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers.get("www-authenticate", "").startswith("Basic") is (status == 401)


async def test_the_form_must_be_one(gateway: World) -> None:
    reply = await gateway.client(None).post("/token", json=GRANT)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")
    assert (await gateway.client(None).get("/token")).status_code == 405


async def test_any_token_stands_for_the_one_account_and_every_answer_says_so() -> None:
    async with world(anyone=Caller("alice", admin=False, anyone=True)) as gateway:
        stranger = gateway.client("EfwR3VVpBWnMnM3YQ9cPn")
        stranger.base_url = httpx.URL("http://localhost:8000")
        account = await stranger.get("/v1/account")
        assert (account.json()["name"], account.json()["admin"]) == ("alice", False)
        assert "any token" in account.headers["x-runtime-warning"]
        assert (await stranger.post("/v1/programs", json={"name": "p", "source": "x"})).status_code == 201
        assert (await stranger.post("/services/p", json={})).status_code == 201
        for path in ("/v1/tokens", "/v1/clients", "/v1/accounts"):
            reply = await stranger.post(path, json={"name": "x"})
            assert reply.status_code == 403, path
        by_other_name = await gateway.client("x" * 21).get("http://evil.example/v1/account")
        assert by_other_name.status_code == 403
        owner = await gateway.client("alice-token").get("http://127.0.0.1/v1/account")
        assert owner.json()["admin"] is True


async def test_without_the_mode_an_unknown_token_is_refused(gateway: World) -> None:
    reply = await gateway.client("EfwR3VVpBWnMnM3YQ9cPn").get("/services/p")
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "runtime.example.org", "::"])
def test_any_token_is_refused_at_start_beyond_loopback(host: str) -> None:
    with pytest.raises(ValidationError, match="loopback only"):
        GatewaySettings(host=host, any_bearer=True)
    for local in ("127.0.0.1", "::1", "localhost"):
        assert GatewaySettings(host=local, any_bearer=True).anyone == "developer"
    named = GatewaySettings(any_bearer=True, bootstrap_tokens=SecretStr("me=abcd"))
    assert named.anyone == "me"


async def test_a_client_can_wait_for_its_next_token_as_long_as_published_ones_do(gateway: World) -> None:
    client = await issued(gateway)
    seconds = (await asked(gateway, client)).json()["expires_in"]
    gateway.clock.now += timedelta(seconds=seconds - 121)
    assert (await asked(gateway, client)).json()["expires_in"] > 120
