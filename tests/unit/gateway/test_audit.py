"""The audit log: what it tells, what it never tells, and how it behaves when it cannot be written."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from qrt_contracts.ids import new_id
from qrt_gateway import metrics
from qrt_gateway.domain.addresses import Addresses
from qrt_gateway.domain.audit import Bucket, Entry, Place, Wanted
from qrt_gateway.handlers import visits
from qrt_gateway.service import audit
from qrt_gateway.service.audit import Audit
from tests.support.waiting import wait_until
from tests.unit.gateway.fakes import NOW
from tests.unit.gateway.stores import MemoryAudit
from tests.unit.gateway.test_programs import upload
from tests.unit.gateway.world import OTHER, TOKEN, World, world


async def told(gateway: World, **query: Any) -> list[dict[str, Any]]:
    reply = await gateway.http.get("/v1/audit", params=query)
    assert reply.status_code == 200, reply.text
    entries: list[dict[str, Any]] = reply.json()["entries"]
    return entries


async def test_every_change_is_told_and_no_look_is(gateway: World) -> None:
    program = await upload(gateway)
    await gateway.http.get("/v1/programs")
    await gateway.http.delete("/v1/jobs/" + "0" * 32, headers={"X-Request-Id": "mine"})
    newest, first = await told(gateway)
    assert (newest["action"], newest["outcome"]) == ("DELETE /v1/jobs/{id}", "NotFound")
    assert (newest["resource"], newest["request_id"]) == (f"/v1/jobs/{'0' * 32}", "mine")
    assert (first["action"], first["resource"]) == ("POST /v1/programs", f"/v1/programs/{program['id']}")
    assert (first["account"], first["outcome"], first["address"]) == ("alice", "ok", "127.0.0.1")
    (token,) = await gateway.store.tokens("alice")
    assert first["token"] == token.id


async def test_refusals_of_known_accounts_are_told_and_of_strangers_not(gateway: World) -> None:
    await gateway.client("nobody-has-this").get("/v1/jobs")
    await gateway.other.get("/v1/accounts")
    await gateway.http.patch("/v1/accounts/bob", json={"disabled": True})
    await gateway.other.get("/v1/jobs")
    seen = [(each["account"], each["action"], each["outcome"]) for each in await told(gateway)]
    assert seen == [
        ("bob", "GET /v1/jobs", "NotAuthenticated"),
        ("alice", "PATCH /v1/accounts/{name}", "ok"),
        ("bob", "GET /v1/accounts", "Forbidden"),
    ]


async def test_one_token_does_not_fill_the_log_with_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "REFUSALS_AT_ONCE", 3)
    monkeypatch.setattr(visits, "REFUSALS_PER_SECOND", 1e-6)
    async with world() as gateway:
        for _ in range(5):
            await gateway.other.get("/v1/accounts")
        await gateway.other.post("/v1/tokens", json={})
        seen = [each["outcome"] for each in await told(gateway, account="bob")]
    assert seen == ["ok", "Forbidden", "Forbidden", "Forbidden"]


async def test_the_other_surfaces_are_in_the_log_too(gateway: World, service: str) -> None:
    started = await gateway.http.post(service, json={"data": {}})
    job_id = started.json()["id"].replace("-", "")
    await gateway.http.post("/runtime/job_cancel", json={"job_id": job_id})
    await gateway.http.get("/runtime/job_delete", params={"job_id": job_id})
    await gateway.http.get("/runtime/job_status", params={"job_id": job_id})
    client = (await gateway.http.post("/v1/clients", json={})).json()
    form = {"grant_type": "client_credentials", "client_id": client["id"], "client_secret": "wrong"}
    await gateway.client(None).post("/token", data=form)
    seen = [(each["account"], each["action"], each["outcome"]) for each in await told(gateway)]
    assert seen[:5] == [
        ("alice", "POST /token", "NotAuthenticated"),
        ("alice", "POST /v1/clients", "ok"),
        ("alice", "GET /runtime/job_delete", "ok"),
        ("alice", "POST /runtime/job_cancel", "ok"),
        ("alice", "POST /services/{service}", "ok"),
    ]
    cancelled = (await told(gateway, action="POST /runtime/job_cancel"))[0]
    assert cancelled["resource"] == f"/runtime/job_cancel job {job_id}"


async def test_no_secret_is_in_the_log(gateway: World) -> None:
    issued = (await gateway.http.post("/v1/tokens", json={"name": "laptop"})).json()
    body = {"token": "the-clouds-token"}
    await gateway.http.put("/v1/account/credentials/quafu", json=body)
    await gateway.http.post("/console/session", json={"token": issued["token"]})
    await gateway.audit.flush()
    stored = repr(gateway.logged.stored)
    assert "POST /console/session" in stored
    for secret in (TOKEN, OTHER, issued["token"], body["token"]):
        assert secret not in stored


async def test_the_log_is_filtered_and_paged(gateway: World) -> None:
    for client in (gateway.http, gateway.other, gateway.http):
        await client.post("/v1/tokens", json={})
        await gateway.audit.flush()
    assert [each["account"] for each in await told(gateway, account="bob")] == ["bob"]
    assert len(await told(gateway, action="POST /v1/tokens")) == 3
    first = (await gateway.http.get("/v1/audit?limit=2")).json()
    rest = (await gateway.http.get(f"/v1/audit?limit=2&cursor={first['next_cursor']}")).json()
    assert [each["account"] for each in first["entries"] + rest["entries"]] == ["alice", "bob", "alice"]
    assert rest["next_cursor"] is None
    wrong = await gateway.http.get("/v1/audit?cursor=nowhere")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "cursor")
    assert (await gateway.other.get("/v1/audit")).status_code == 403


def entry(number: int, **fields: Any) -> Entry:
    given: dict[str, Any] = {
        "id": f"{number:032x}",
        "at": NOW,
        "account": "alice",
        "token": None,
        "action": "POST /v1/jobs",
        "resource": "/v1/jobs",
        "outcome": "ok",
        "address": None,
        "request_id": None,
    }
    return Entry(**given | fields)


class Refusing(MemoryAudit):
    async def add(self, bucket: Bucket) -> None:
        raise ConnectionError("the database is away")


async def test_what_cannot_be_written_waits_in_bounds_and_the_rest_is_counted() -> None:
    log = Audit(Refusing(), clock=lambda: NOW, keep=timedelta(days=1))
    before = metrics.AUDIT_DROPPED._value.get()
    for number in range(audit.WAITING + 3):
        log.note(entry(number))
    assert metrics.AUDIT_DROPPED._value.get() == before + 3
    with pytest.raises(ConnectionError):
        await log.flush()
    log._store = store = MemoryAudit()
    await log.flush()
    assert sum(len(each.entries) for each in store.stored) == audit.WAITING


async def test_pages_over_many_buckets_tell_everything_once() -> None:
    store = MemoryAudit()
    log = Audit(store, clock=lambda: NOW, keep=timedelta(days=1))
    for number in range(60):
        log.note(entry(number, account="alice" if number % 3 else "bob"))
        if number % 2:
            await log.flush()
    found, before = list[str](), None
    while True:
        entries, before = await log.page(Wanted(account="bob"), before=before, limit=7)
        found += [each.id for each in entries]
        if before is None:
            break
        before = Place.of(str(before))
    assert found == [f"{number:032x}" for number in range(57, -1, -3)]


async def test_old_entries_go_and_entries_are_written_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "WRITE_SECONDS", 0.001)
    store = MemoryAudit()
    log = Audit(store, clock=lambda: NOW, keep=timedelta(days=90))
    log.note(entry(1, at=NOW - timedelta(days=91)))
    log.note(entry(2, id=new_id()))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        writing = group.create_task(log.write())
        await wait_until(lambda: store.stored, description="the entries are written")
        writing.cancel()
    await store.add(Bucket((entry(0, at=NOW - timedelta(days=91)),)))
    await store.forget(NOW - timedelta(days=90))
    assert [len(each.entries) for each in store.stored] == [2]


def test_a_believed_proxy_says_where_a_request_comes_from() -> None:
    headers = {"x-forwarded-for": "203.0.113.7, 198.51.100.2"}
    assert Addresses(forwarded=True).origin(headers, peer="127.0.0.1") == "198.51.100.2"
    assert Addresses().origin(headers, peer="127.0.0.1") == "127.0.0.1"
    assert Addresses(forwarded=True).origin({"x-forwarded-for": "<b>"}, peer="::1") == "::1"
