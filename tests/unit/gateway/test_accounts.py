"""Accounts and tokens: who gets in, who does not, and what each is told."""

from datetime import timedelta

import pytest

from qrt_chassis.settings import SettingsError, load
from qrt_gateway.service import accounts
from qrt_gateway.settings import PREFIX, GatewaySettings
from tests.unit.gateway.world import TOKEN, World


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "there is no token"),
        ({"Authorization": "Basic eDp5"}, "Bearer"),
        ({"Authorization": "Bearer"}, "malformed"),
        ({"Authorization": "Bearer two words"}, "malformed"),
        ({"Authorization": "Bearer " + "x" * 513}, "malformed"),
        ({"Authorization": "Bearer nobody-has-this"}, "not known"),
    ],
)
async def test_who_does_not_get_in_is_told_why(gateway: World, headers: dict[str, str], told: str) -> None:
    reply = await gateway.client(None).get("/v1/account", headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (401, "NotAuthenticated")
    assert told in reply.json()["detail"]
    assert reply.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_is_shown_once_and_stored_as_a_hash(gateway: World) -> None:
    issued = (await gateway.http.post("/v1/tokens", json={"name": "laptop"})).json()
    assert (await gateway.client(issued["token"]).get("/v1/account")).json()["name"] == "alice"
    listed = await gateway.http.get("/v1/tokens")
    assert [each["name"] for each in listed.json()["tokens"]] == ["bootstrap", "laptop"]
    assert issued["token"] not in listed.text
    assert issued["token"] not in repr(gateway.store.by_digest)


async def test_a_revoked_token_ends_here_at_once(gateway: World) -> None:
    issued = (await gateway.http.post("/v1/tokens", json={})).json()
    client = gateway.client(issued["token"])
    assert (await client.get("/v1/account")).status_code == 200
    assert (await gateway.http.delete(f"/v1/tokens/{issued['id']}")).status_code == 204
    reply = await client.get("/v1/account")
    assert reply.status_code == 401
    assert "revoked at 2026-01-02" in reply.json()["detail"]


async def test_a_token_revoked_elsewhere_ends_here_soon(gateway: World) -> None:
    assert (await gateway.http.get("/v1/account")).status_code == 200
    (token,) = await gateway.store.tokens("alice")
    await gateway.store.revoke(token.digest, now=gateway.clock.now)
    gateway.clock.seconds += accounts.MEMORY_SECONDS
    assert (await gateway.http.get("/v1/account")).status_code == 401


async def test_a_token_expires(gateway: World) -> None:
    expires = (gateway.clock.now + timedelta(hours=1)).isoformat()
    issued = (await gateway.http.post("/v1/tokens", json={"expires_at": expires})).json()
    client = gateway.client(issued["token"])
    assert (await client.get("/v1/account")).status_code == 200
    gateway.clock.now += timedelta(hours=1)
    reply = await client.get("/v1/account")
    assert (reply.status_code, "expired at 2026-01-02T04:04:05Z" in reply.json()["detail"]) == (401, True)


@pytest.mark.parametrize("expires", ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00"])
async def test_an_expiry_must_be_in_the_future_and_have_a_zone(gateway: World, expires: str) -> None:
    reply = await gateway.http.post("/v1/tokens", json={"expires_at": expires})
    assert (reply.status_code, reply.json()["field"]) == (422, "expires_at")


async def test_nobody_revokes_the_tokens_of_others(gateway: World) -> None:
    (theirs,) = await gateway.store.tokens("bob")
    reply = await gateway.http.delete(f"/v1/tokens/{theirs.id}")
    assert reply.status_code == 404
    assert (await gateway.other.get("/v1/account")).json()["name"] == "bob"


async def test_administrators_alone_create_accounts(gateway: World) -> None:
    reply = await gateway.other.post("/v1/accounts", json={"name": "carol"})
    assert (reply.status_code, reply.json()["code"]) == (403, "Forbidden")
    reply = await gateway.http.post("/v1/accounts", json={"name": "carol"})
    assert reply.status_code == 201
    who = await gateway.client(reply.json()["token"]).get("/v1/account")
    assert who.json() == {
        "name": "carol",
        "role": "user",
        "admin": False,
        "groups": [],
        "scopes": ["read", "run", "write"],
        "token": {"id": reply.json()["id"], "name": "first token", "expires_at": None},
    }
    assert (await gateway.http.post("/v1/accounts", json={"name": "carol"})).status_code == 409


async def test_a_token_is_looked_up_once_for_many_requests(gateway: World) -> None:
    for _ in range(5):
        await gateway.http.get("/v1/account")
    assert gateway.store.look_ups == 1


async def test_bootstrap_accounts_survive_a_second_start(gateway: World) -> None:
    (before,) = await gateway.store.tokens("alice")
    await gateway.accounts.ensure([("alice", TOKEN)])
    assert await gateway.store.tokens("alice") == [before]


def test_bootstrap_tokens_are_read_from_the_environment_and_never_shown() -> None:
    variable = f"{PREFIX}BOOTSTRAP_TOKENS"
    settings = load(GatewaySettings, {variable: "alice=one-token, bob=other"}, prefix=PREFIX)
    assert settings.bootstrap() == (("alice", "one-token"), ("bob", "other"))
    assert "one-token" not in repr(settings)
    with pytest.raises(SettingsError, match=variable) as error:
        load(GatewaySettings, {variable: "only-a-secret"}, prefix=PREFIX)
    assert "only-a-secret" not in str(error.value)
