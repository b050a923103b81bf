"""Programs shared with groups and jobs shared with people: who sees them, and what they may do with them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from tests.integration.gateway.platform import Platform, platform

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime(mongo_url: str) -> AsyncIterator[Platform]:
    """Alice and Bob in a team, Carol in none."""
    async with platform(mongo_url) as running:
        await running.admin.post("/v1/groups", json={"name": "team"})
        await running.admin.post("/v1/groups", json={"name": "others"})
        await running.account("alice", groups=["team"])
        await running.account("bob", groups=["team"])
        await running.account("carol")
        yield running


async def ids(client: httpx.AsyncClient, url: str, kind: str) -> set[str]:
    reply = await client.get(url)
    assert reply.status_code == 200, reply.text
    return {each["id"] for each in reply.json()[kind]}


async def test_a_program_of_a_group_is_seen_and_run_by_its_members(runtime: Platform) -> None:
    alice, bob, carol = (runtime.clients[each] for each in ("alice", "bob", "carol"))
    program = await runtime.program("alice", visibility="group", groups=["team"])
    shown = (await bob.get(f"/v1/programs/{program}")).json()
    assert (shown["visibility"], shown["groups"]) == ("group", ["team"])
    assert (await carol.get(f"/v1/programs/{program}")).status_code == 404
    job = await runtime.job("bob", program)
    assert (await alice.get(f"/v1/jobs/{job}")).status_code == 404, "a job is its owner's, not the program's"
    assert (await carol.post("/v1/jobs", json={"program_id": program})).status_code == 404
    refused = await bob.patch(f"/v1/programs/{program}", json={"description": "mine"})
    assert (refused.status_code, refused.json()["code"]) == (403, "Forbidden")
    assert (await bob.delete(f"/v1/programs/{program}")).status_code == 403
    assert program in await ids(bob, "/v1/programs?scope=visible&limit=500", "programs")
    assert program not in await ids(bob, "/v1/programs", "programs")
    assert program not in await ids(carol, "/v1/programs?scope=visible&limit=500", "programs")
    assert program in await ids(runtime.admin, "/v1/programs?scope=all&limit=500", "programs")


async def test_who_leaves_a_group_sees_its_programs_no_more(runtime: Platform) -> None:
    await runtime.account("dora", groups=["team"])
    program = await runtime.program("alice", visibility="group", groups=["team"])
    assert (await runtime.clients["dora"].get(f"/v1/programs/{program}")).status_code == 200
    await runtime.admin.delete("/v1/groups/team/members/dora")
    assert (await runtime.clients["dora"].get(f"/v1/programs/{program}")).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"visibility": "group"},
        {"visibility": "group", "groups": ["others"]},
        {"visibility": "group", "groups": ["team", "none such"]},
        {"visibility": "private", "groups": ["team"]},
        {"visibility": "public", "groups": ["team"]},
    ],
)
async def test_the_groups_of_a_program_are_its_owners_and_go_with_the_visibility(
    runtime: Platform, fields: dict[str, Any]
) -> None:
    alice, program = runtime.clients["alice"], await runtime.program("alice")
    refused = [
        await alice.post("/v1/programs", json={"name": "never", "source": "def run(a, b, c): 1", **fields}),
        await alice.patch(f"/v1/programs/{program}", json=fields),
    ]
    for each in refused:
        assert (each.status_code, each.json()["field"]) == (422, "groups"), each.text
    assert (await alice.get(f"/v1/programs/{program}")).json()["visibility"] == "private"


async def test_a_changed_visibility_takes_the_groups_along(runtime: Platform) -> None:
    alice, program = runtime.clients["alice"], await runtime.program("alice")
    url = f"/v1/programs/{program}"
    shared = await alice.patch(url, json={"visibility": "group", "groups": ["team", "team"]})
    assert shared.json()["groups"] == ["team"]
    assert (await alice.patch(url, json={"groups": []})).status_code == 422
    assert (await alice.patch(url, json={"description": "still shared"})).json()["groups"] == ["team"]
    assert (await alice.patch(url, json={"visibility": "public"})).json()["groups"] == []
    assert (await runtime.clients["carol"].get(url)).status_code == 200


async def test_an_administrator_shares_with_existing_groups_alone(runtime: Platform) -> None:
    program = await runtime.program("alice")
    url = f"/v1/programs/{program}"
    refused = await runtime.admin.patch(url, json={"visibility": "group", "groups": ["nobodys"]})
    assert (refused.status_code, refused.json()["field"]) == (422, "groups")
    done = await runtime.admin.patch(url, json={"visibility": "group", "groups": ["others"]})
    assert (done.status_code, done.json()["owner"]) == (200, "alice")


async def test_a_shared_job_is_read_and_nothing_else(runtime: Platform) -> None:
    alice, bob, carol = (runtime.clients[each] for each in ("alice", "bob", "carol"))
    job = await runtime.job("alice", await runtime.program("alice"))
    url = f"/v1/jobs/{job}"
    assert (await bob.get(url)).status_code == (await carol.get(url)).status_code == 404
    shared = await alice.put(f"{url}/shares", json={"accounts": ["carol"], "groups": ["team"]})
    assert shared.json()["shares"] == {"groups": ["team"], "accounts": ["carol"]}
    for reader in (bob, carol):
        for path in ("", "/result", "/outputs", "/logs", "/files", "/circuits"):
            assert (await reader.get(url + path)).status_code == 200, path
        for refused in (
            await reader.post(f"{url}/cancel"),
            await reader.delete(url),
            await reader.put(f"{url}/shares", json={"accounts": ["carol"]}),
        ):
            assert (refused.status_code, refused.json()["code"]) == (403, "Forbidden")
        assert job in await ids(reader, "/v1/jobs?owner=shared", "jobs")
        assert job not in await ids(reader, "/v1/jobs", "jobs")
    assert job not in await ids(alice, "/v1/jobs?owner=shared", "jobs"), "her own"
    await alice.put(f"{url}/shares", json={})
    assert (await bob.get(url)).status_code == (await carol.get(url)).status_code == 404
    assert await ids(bob, "/v1/jobs?owner=shared", "jobs") == set()


@pytest.mark.parametrize(
    ("body", "field"),
    [({"groups": ["others"]}, "groups"), ({"accounts": ["nobody"]}, "accounts"), ({"people": []}, "people")],
)
async def test_shares_name_what_there_is(runtime: Platform, body: dict[str, Any], field: str) -> None:
    job = await runtime.job("alice", await runtime.program("alice"))
    refused = await runtime.clients["alice"].put(f"/v1/jobs/{job}/shares", json=body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)


async def test_administrators_see_and_end_every_job_and_nobody_else_asks_for_all(runtime: Platform) -> None:
    job = await runtime.job("alice", await runtime.program("alice"))
    assert job in await ids(runtime.admin, "/v1/jobs?owner=all&status=QUEUED", "jobs")
    assert (await runtime.clients["bob"].get("/v1/jobs?owner=all")).status_code == 403
    assert (await runtime.clients["bob"].get("/v1/programs?scope=all")).status_code == 403
    ended = await runtime.admin.post(f"/v1/jobs/{job}/cancel")
    assert (ended.json()["status"], ended.json()["owner"]) == ("CANCELLED", "alice")
    assert (await runtime.admin.delete(f"/v1/jobs/{job}")).status_code == 204
    narrow = await runtime.narrowed("admin", "read")
    other = await runtime.job("alice", await runtime.program("alice"))
    assert (await narrow.get(f"/v1/jobs/{other}")).status_code == 404, "without the scope, like anybody"


async def test_a_shared_job_is_followed_live_by_its_id(runtime: Platform) -> None:
    job = await runtime.job("alice", await runtime.program("alice"))
    await runtime.clients["alice"].put(f"/v1/jobs/{job}/shares", json={"groups": ["team"]})
    url = f"{runtime.gateway.url.replace('http', 'ws', 1)}/v1/stream"
    frames: dict[str, list[dict[str, Any]]] = {}
    for reader in ("bob", "carol"):
        headers = {"Authorization": runtime.clients[reader].headers["authorization"]}
        async with connect(url, additional_headers=headers) as connection:
            await connection.send(json.dumps({"type": "subscribe", "job_id": job}))
            frames[reader] = [json.loads(await connection.recv())]
    assert frames["bob"][0]["type"] in ("state", "attempt")
    assert (frames["carol"][0]["type"], frames["carol"][0]["problem"]["code"]) == ("error", "NotFound")
