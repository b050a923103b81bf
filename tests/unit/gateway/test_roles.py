"""Roles, scopes, groups and the accounts of others: who may keep what, and what each is told."""

from typing import Any

import httpx
import pytest

from qrt_contracts.rights import Role
from qrt_gateway.domain.rates import Rates
from qrt_gateway.service import accounts
from qrt_gateway.service.accounts import Accounts
from tests.unit.gateway.world import TOKEN, World


async def account(gateway: World, name: str, **fields: Any) -> httpx.AsyncClient:
    """Make an account; return a client with its first token."""
    reply = await gateway.http.post("/v1/accounts", json={"name": name, **fields})
    assert reply.status_code == 201, reply.text
    return gateway.client(reply.json()["token"])


async def narrowed(gateway: World, client: httpx.AsyncClient, *scopes: str) -> httpx.AsyncClient:
    reply = await client.post("/v1/tokens", json={"scopes": list(scopes)})
    assert reply.status_code == 201, reply.text
    return gateway.client(reply.json()["token"])


async def test_a_token_says_which_scope_it_lacks(gateway: World) -> None:
    reader = await narrowed(gateway, gateway.http, "read")
    assert (await reader.get("/v1/account")).json()["scopes"] == ["read"]
    assert (await reader.get("/v1/jobs")).status_code == 200
    for refused, scope in (
        (await reader.post("/v1/jobs", json={}), "run"),
        (await reader.post("/v1/programs", json={}), "write"),
        (await reader.get("/v1/accounts"), "admin"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "Forbidden")
        assert f"the scope '{scope}', which this token does not have" in refused.json()["detail"]
        assert f'scope="{scope}"' in refused.headers["www-authenticate"]


async def test_a_narrowed_token_hands_on_no_more_than_it_has(gateway: World) -> None:
    writer = await narrowed(gateway, gateway.http, "read", "write")
    assert (await writer.post("/v1/tokens", json={"scopes": ["admin"]})).status_code == 403
    heir = (await writer.post("/v1/tokens", json={})).json()
    assert heir["scopes"] == ["read", "write"]
    client = (await writer.post("/v1/clients", json={})).json()
    form = {"grant_type": "client_credentials", "client_id": client["id"], "client_secret": client["secret"]}
    token = (await gateway.client(None).post("/token", data=form)).json()["access_token"]
    assert (await gateway.client(token).get("/v1/account")).json()["scopes"] == ["read", "write"]


async def test_a_token_that_only_reads_makes_and_ends_no_other_but_can_end_itself(gateway: World) -> None:
    reader = await narrowed(gateway, gateway.http, "read")
    (bootstrap, own) = (await reader.get("/v1/tokens")).json()["tokens"]
    assert (await reader.post("/v1/tokens", json={"scopes": ["read"]})).status_code == 403
    assert (await reader.delete(f"/v1/tokens/{bootstrap['id']}")).status_code == 403
    assert (await reader.delete(f"/v1/tokens/{own['id']}")).status_code == 204
    assert (await reader.get("/v1/account")).status_code == 401


async def test_a_viewer_reads_and_keeps_its_own_tokens(gateway: World) -> None:
    viewer = await account(gateway, "vera", role="viewer")
    assert (await viewer.get("/v1/account")).json()["scopes"] == ["read"]
    assert (await viewer.get("/v1/programs")).status_code == 200
    refused = await viewer.post("/v1/jobs", json={})
    assert (refused.status_code, "the role 'viewer'" in refused.json()["detail"]) == (403, True)
    assert (await viewer.post("/v1/tokens", json={"scopes": ["run"]})).status_code == 403
    own = (await viewer.post("/v1/tokens", json={"name": "mine"})).json()
    assert (await viewer.delete(f"/v1/tokens/{own['id']}")).status_code == 204


async def test_accounts_are_listed_by_name_in_pages(gateway: World) -> None:
    await account(gateway, "carol", role="viewer")
    first = (await gateway.http.get("/v1/accounts?limit=2")).json()
    assert [each["name"] for each in first["accounts"]] == ["alice", "bob"]
    rest = (await gateway.http.get(f"/v1/accounts?limit=2&cursor={first['next_cursor']}")).json()
    assert [(each["name"], each["role"]) for each in rest["accounts"]] == [("carol", "viewer")]
    assert rest["next_cursor"] is None
    assert (await gateway.other.get("/v1/accounts")).status_code == 403


async def test_a_disabled_account_is_kept_out_until_it_is_enabled(gateway: World) -> None:
    carol = await account(gateway, "carol")
    assert (await carol.get("/v1/account")).status_code == 200
    shown = await gateway.http.patch("/v1/accounts/carol", json={"disabled": True})
    assert (shown.status_code, shown.json()["disabled"]) == (200, True)
    refused = await carol.get("/v1/account")
    assert (refused.status_code, "disabled" in refused.json()["detail"]) == (401, True)
    await gateway.http.patch("/v1/accounts/carol", json={"disabled": False})
    assert (await carol.get("/v1/account")).status_code == 200


async def test_a_change_of_role_is_felt_at_once(gateway: World) -> None:
    carol = await account(gateway, "carol")
    await carol.get("/v1/account")
    await gateway.http.patch("/v1/accounts/carol", json={"role": "admin"})
    assert (await carol.get("/v1/accounts")).status_code == 200


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "user"}])
async def test_the_last_administrator_stays(gateway: World, change: dict[str, Any]) -> None:
    refused = await gateway.http.patch("/v1/accounts/alice", json=change)
    assert (refused.status_code, refused.json()["code"]) == (409, "Conflict")
    await gateway.http.patch("/v1/accounts/bob", json={"role": "admin"})
    assert (await gateway.http.patch("/v1/accounts/alice", json=change)).status_code == 200
    assert await gateway.store.administrators() == ["bob"]


async def test_administrators_keep_the_tokens_of_others_and_nobody_else_does(gateway: World) -> None:
    reply = await gateway.http.post("/v1/accounts/bob/tokens", json={"name": "for bob", "scopes": ["run"]})
    assert (reply.status_code, reply.json()["account"]) == (201, "bob")
    assert (await gateway.client(reply.json()["token"]).get("/v1/account")).json()["scopes"] == ["run"]
    listed = (await gateway.other.get("/v1/accounts/bob/tokens")).json()["tokens"]
    assert [each["name"] for each in listed] == ["bootstrap", "for bob"]
    assert (await gateway.other.get("/v1/accounts/alice/tokens")).status_code == 403
    assert (await gateway.http.delete(f"/v1/accounts/bob/tokens/{listed[1]['id']}")).status_code == 204
    assert (await gateway.http.get("/v1/accounts/nobody/tokens")).status_code == 404
    beyond = await gateway.http.post("/v1/accounts/bob/tokens", json={"scopes": ["admin"]})
    assert (beyond.status_code, beyond.json()["field"]) == (422, "scopes")
    for rate in (0, 1e-9, 1e400):
        odd = await gateway.http.post("/v1/tokens", content=f'{{"requests_per_second": {rate}}}')
        assert odd.status_code in (400, 422), rate


async def test_groups_are_kept_by_administrators_and_seen_by_their_members(gateway: World) -> None:
    assert (await gateway.other.post("/v1/groups", json={"name": "team"})).status_code == 403
    made = await gateway.http.post("/v1/groups", json={"name": "team"})
    assert (made.status_code, made.json()["members"]) == (201, [])
    assert (await gateway.http.post("/v1/groups", json={"name": "team"})).status_code == 409
    assert (await gateway.other.get("/v1/groups")).json() == {"groups": []}
    assert (await gateway.other.get("/v1/groups/team")).status_code == 404
    assert (await gateway.http.put("/v1/groups/team/members/bob")).status_code == 204
    assert (await gateway.other.get("/v1/account")).json()["groups"] == ["team"]
    assert (await gateway.other.get("/v1/groups/team")).json()["members"] == ["bob"]
    assert (await gateway.http.put("/v1/groups/team/members/nobody")).status_code == 404
    assert (await gateway.http.delete("/v1/groups/team/members/bob")).status_code == 204
    assert (await gateway.other.get("/v1/groups/team")).status_code == 404
    await gateway.http.put("/v1/groups/team/members/bob")
    assert (await gateway.http.delete("/v1/groups/team")).status_code == 204
    assert (await gateway.other.get("/v1/account")).json()["groups"] == []
    assert (await gateway.http.get("/v1/groups/team")).status_code == 404


async def test_an_account_is_made_in_existing_groups_alone(gateway: World) -> None:
    refused = await gateway.http.post("/v1/accounts", json={"name": "carol", "groups": ["team"]})
    assert (refused.status_code, refused.json()["field"]) == (422, "groups")
    await gateway.http.post("/v1/groups", json={"name": "team"})
    carol = await account(gateway, "carol", groups=["team"])
    assert (await carol.get("/v1/account")).json()["groups"] == ["team"]


async def test_a_client_of_a_disabled_account_gets_no_token(gateway: World) -> None:
    client = (await gateway.other.post("/v1/clients", json={})).json()
    form = {"grant_type": "client_credentials", "client_id": client["id"], "client_secret": client["secret"]}
    await gateway.http.patch("/v1/accounts/bob", json={"disabled": True})
    reply = await gateway.client(None).post("/token", data=form)
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


async def test_when_a_token_was_used_last_is_told(gateway: World) -> None:
    issued = (await gateway.http.post("/v1/tokens", json={"name": "laptop"})).json()
    assert issued["last_used_at"] is None
    await gateway.client(issued["token"]).get("/v1/account")
    listed = (await gateway.http.get("/v1/tokens")).json()["tokens"]
    assert listed[1]["last_used_at"] == "2026-01-02T03:04:05Z"


async def test_a_token_of_its_own_rate_is_told_when_to_come_back(gateway: World) -> None:
    limited = Accounts(
        gateway.store,
        clock=gateway.clock,
        monotonic=gateway.clock.monotonic,
        rates=Rates(per_second=10, burst=50),
    )
    gateway.accounts.authenticate = limited.authenticate  # type: ignore[method-assign]
    issued = (await gateway.http.post("/v1/tokens", json={"requests_per_second": 0.5})).json()
    client = gateway.client(issued["token"])
    assert (await client.get("/v1/account")).status_code == 200
    refused = await client.get("/v1/account")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    assert (await gateway.http.get("/v1/account")).status_code == 200


async def test_the_first_administrator_is_made_once(gateway: World) -> None:
    assert await gateway.accounts.first_administrator() is None
    gateway.store.known.clear()
    both = [await gateway.accounts.first_administrator() for _ in range(2)]
    assert both[1] is None
    assert (await gateway.client(both[0]).get("/v1/account")).json()["role"] == Role.ADMIN
    # Another gateway that saw no account either, and was slower:
    gateway.store.any_account = _nobody  # type: ignore[method-assign]
    assert await gateway.accounts.first_administrator() is None
    assert [each.revoked_at is None for each in await gateway.store.tokens(accounts.FIRST)] == [True, False]


async def _nobody() -> bool:
    return False


async def test_the_tokens_of_the_bootstrap_account_may_do_everything(gateway: World) -> None:
    reply = await gateway.client(TOKEN).get("/v1/account")
    assert (reply.json()["admin"], reply.json()["scopes"]) == (True, ["read", "run", "write", "admin"])
