"""What a release has stored is read, and gone on with, by the services of today."""

import base64
import hashlib
import json
from typing import Any

import httpx
import pymongo
import pytest

from quafu_runtime import verify_webhook
from tests.support.receiving import receiving
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.upgrade import programs
from tests.upgrade.world import Upgraded

pytestmark = [pytest.mark.upgrade, pytest.mark.asyncio(loop_scope="module")]


async def test_people_sign_in_with_the_tokens_that_they_have(all_services: Upgraded) -> None:
    facts = all_services.facts
    for name, client in all_services.clients.items():
        seen = (await client.get("/v1/account")).json()
        assert seen["name"] == name.removesuffix(" again")
        assert seen["admin"] is (seen["name"] == "alice")
        expected = {"alice": "admin", "vera": "viewer"}.get(seen["name"], "user")
        assert (seen["role"], seen["scopes"] != []) == (expected, True)
    for refused in ("revoked", "disabled"):
        if refused in facts:
            client = await all_services.with_token(facts[refused])
            assert (await client.get("/v1/account")).status_code == 401
    if "read only" in facts:
        narrow = await all_services.with_token(facts["read only"])
        assert (await narrow.get("/v1/jobs")).status_code == 200
        assert (await narrow.post("/v1/jobs", json={"program_name": "adds"})).status_code == 403


async def test_administrators_see_and_change_the_accounts_there_are(all_services: Upgraded) -> None:
    alice = all_services.clients["alice"]
    listed = {each["name"]: each for each in (await alice.get("/v1/accounts")).json()["accounts"]}
    assert {"alice", "bob", "carol"} <= set(listed)
    groups = (await alice.get("/v1/groups")).json()["groups"]
    assert {each["name"]: each["members"] for each in groups} == all_services.facts.get("groups", {})
    assert (await alice.patch("/v1/accounts/carol", json={"role": "viewer"})).json()["role"] == "viewer"
    refused = await all_services.clients["carol"].post("/v1/programs", json={"name": "x", "source": "x"})
    assert refused.status_code == 403
    demoted = await alice.patch("/v1/accounts/alice", json={"role": "user"})
    assert demoted.status_code == 409, "the last administrator"
    tokens = (await alice.get("/v1/tokens")).json()["tokens"]
    assert {"a second one", "revoked"} <= {each["name"] for each in tokens}
    assert (await alice.get("/v1/account/credentials/quafu")).status_code == 200
    assert [each["name"] for each in (await alice.get("/v1/clients")).json()["clients"]] == ["kipu"]
    assert (await alice.get("/v1/audit")).status_code == 200


async def test_programs_are_listed_shown_changed_and_given_versions(all_services: Upgraded) -> None:
    alice = all_services.clients["alice"]
    mine = {each["name"] for each in (await alice.get("/v1/programs?limit=100")).json()["programs"]}
    assert mine == set(all_services.programs) - {"shared"}
    for name, identifier in all_services.programs.items():
        seen = (await alice.get(f"/v1/programs/{identifier}")).json()
        assert seen["name"] == name
        versions = (await alice.get(f"/v1/programs/{identifier}/versions")).json()
        assert versions["total"] == (2 if name == "adds" else 1)
    visible = (await all_services.clients["bob"].get("/v1/programs?scope=visible&limit=100")).json()
    assert "adds" in {each["name"] for each in visible["programs"]}
    adds = f"/v1/programs/{all_services.programs['adds']}"
    source = await alice.get(f"{adds}/source")
    assert source.text == programs.ADDS_AGAIN
    changed = await alice.patch(adds, json={"description": "Adds still."})
    assert changed.json()["description"] == "Adds still."
    added = await alice.post(f"{adds}/versions", json={"source": programs.ADDS})
    assert added.status_code == 201, added.text
    assert (await alice.get(f"{adds}/versions")).json()["total"] == 3


async def test_builds_show_how_they_ended_and_open_ones_go_on(all_services: Upgraded) -> None:
    alice, states = all_services.clients["alice"], {}
    for name in ("project", "broken", "built", "image"):
        path = f"/v1/programs/{all_services.programs[name]}/versions/1"
        build = (await alice.get(path)).json()["build"]
        states[name] = build["state"]
        log = await alice.get(f"{path}/build/log?follow=false")
        assert log.status_code == 200, log.text
        assert bool(log.text) is (name in ("project", "broken"))
    assert states == {"project": "ready", "broken": "failed", "built": "building", "image": "building"}
    described = await alice.get("/services/project/openapi.json")
    assert "values" in described.text, "its signature"


async def test_ended_jobs_are_read_whole(all_services: Upgraded) -> None:
    api, jobs = all_services.alice, all_services.jobs
    results = {name: await _result(api, jobs[name]) for name in jobs if not name.startswith(("q", "r"))}
    states = {name: result["status"] for name, result in results.items()}
    assert states == {
        **dict.fromkeys(("succeeded", "large", "measured", "files", "secret"), "SUCCEEDED"),
        **dict.fromkeys(("failed", "limit"), "FAILED"),
        **dict.fromkeys(("cancelled", "cancelled queued"), "CANCELLED"),
    }
    assert results["succeeded"]["result"] == {"sum": 6, "text": ""}
    assert len(results["large"]["result"]["text"]) == 200_000
    assert results["secret"]["result"] == hashlib.sha256(programs.SECRET.encode()).hexdigest()
    assert sum(results["measured"]["result"].values()) == 100
    codes = {name: results[name]["problem"]["code"] for name in ("failed", "limit")}
    assert codes == {"failed": "ProgramError", "limit": "TimeLimitExceeded"}
    given = (await api.http.get(f"/v1/jobs/{jobs['large']}/input")).json()["input"]
    assert given["note"] == "x" * 300_000
    tagged = (await api.http.get("/v1/jobs?tag=kept")).json()["jobs"]
    assert [each["id"] for each in tagged] == [jobs["succeeded"]]


async def test_outputs_files_and_circuits_of_ended_jobs_are_read_and_streamed(all_services: Upgraded) -> None:
    api, jobs = all_services.alice, all_services.jobs
    assert (await api.log({"id": jobs["succeeded"]})).startswith("again adding {")
    outputs = await api.outputs({"id": jobs["succeeded"]})
    assert [each["data"] for each in outputs if each["kind"] == "interim"] == ['{"so far": 1}', "bytes"]
    stream = (await api.http.get(f"/v1/jobs/{jobs['succeeded']}/stream")).text
    assert "so far" in stream
    assert '"SUCCEEDED"' in stream
    listed = (await api.http.get(f"/v1/jobs/{jobs['files']}/files")).json()["files"]
    assert [each["name"] for each in listed] == ["deep/note.txt", "output.json"]
    assert (await api.http.get(f"/v1/jobs/{jobs['files']}/files/deep/note.txt")).text == "kept"
    circuits = (await api.http.get(f"/v1/jobs/{jobs['measured']}/circuits")).json()["circuits"]
    assert [(each["status"], each["shots"]) for each in circuits] == [("completed", 100)]


async def test_clients_of_both_published_kinds_find_their_old_work(all_services: Upgraded) -> None:
    known, execution = all_services.facts["client"], all_services.facts["execution"]
    basic = base64.b64encode(f"{known['id']}:{known['secret']}".encode()).decode()
    async with httpx.AsyncClient(base_url=all_services.gateway.url, timeout=30) as client:
        issued = await client.post(
            "/token", data={"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {basic}"}
        )
        client.headers["Authorization"] = f"Bearer {issued.json()['access_token']}"
        seen = (await client.get(f"/services/project/{execution}")).json()
        result = (await client.get(f"/services/project/{execution}/result")).json()
    assert (seen["status"], seen["tags"]) == ("SUCCEEDED", ["service"])
    assert result["sum"] == 4
    quafu = all_services.clients["alice"]
    reply = await quafu.get(
        "/runtime/job_status",
        params={"job_id": all_services.jobs["succeeded"]},
        headers={"api_token": all_services.facts["tokens"]["alice"]},
    )
    assert reply.json()["data"]["status"] == 2


async def test_queued_jobs_are_run(all_services: Upgraded) -> None:
    api, jobs = all_services.alice, all_services.jobs
    results = {name: await _result(api, jobs[name]) for name in jobs if name.startswith("queued")}
    assert {name: result.get("result") for name, result in results.items()} == {
        "queued limited": {"waited": True},
        "queued adds": {"sum": 42, "text": ""},
        "queued bare": {"sum": 7.0},
        "queued secret": hashlib.sha256(programs.SECRET.encode()).hexdigest(),
    }


async def test_running_jobs_are_run_again_or_said_to_be_lost(all_services: Upgraded) -> None:
    api, jobs = all_services.alice, all_services.jobs
    ends = {}
    for name in ("waits", "limited", "once"):
        result = await _result(api, jobs[f"running {name}"])
        attempts = (await api.job({"id": jobs[f"running {name}"]}))["attempts"]
        problem = (result.get("problem") or {}).get("code")
        ends[name] = (result["status"], problem, [each["end"] for each in attempts])
    assert ends == {
        "waits": ("SUCCEEDED", None, ["lost", "succeeded"]),
        "limited": ("SUCCEEDED", None, ["lost", "succeeded"]),
        "once": ("FAILED", "ExecutorLost", ["lost"]),
    }


async def test_a_submission_that_is_repeated_finds_its_job_of_before(all_services: Upgraded) -> None:
    body = {"program_id": all_services.programs["secret"], "secrets": {"ibmToken": programs.SECRET}}
    headers = {"Idempotency-Key": "once"}
    again = await all_services.clients["alice"].post("/v1/jobs", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, all_services.jobs["secret"])


async def test_what_is_shared_stays_shared(all_services: Upgraded) -> None:
    if "groups" not in all_services.facts:
        pytest.skip("this release shares nothing")
    for name in ("bob", "vera"):
        listed = (await all_services.clients[name].get("/v1/jobs?owner=shared")).json()["jobs"]
        assert [each["id"] for each in listed] == [all_services.jobs["succeeded"]]
    shared = await all_services.clients["bob"].get(f"/v1/programs/{all_services.programs['shared']}")
    assert shared.json()["groups"] == ["lab"]


async def test_webhooks_go_on_with_the_secrets_that_their_receivers_know(all_services: Upgraded) -> None:
    if "webhooks" not in all_services.facts:
        pytest.skip("this release has none")
    api, hooks = all_services.alice, all_services.facts["webhooks"]
    for each in hooks.values():
        deliveries = (await api.http.get(f"/v1/webhooks/{each['id']}/deliveries")).json()["deliveries"]
        assert deliveries
    async with receiving() as server:
        changed = await api.http.patch(f"/v1/webhooks/{hooks['reached']['id']}", json={"url": server.url})
        assert changed.status_code == 200, changed.text
        job = await api.submit({"id": all_services.programs["fails"]})
        told: list[dict[str, Any]] = []

        def news() -> bool:
            told[:] = [
                verify_webhook(hooks["reached"]["secret"], each.headers, each.body) for each in server.got
            ]
            return job["id"] in {each["data"].get("job", {}).get("id") for each in told}

        await wait_until(news, description="the news of a job's end", seconds=30)


async def test_indexes_are_those_of_this_release(all_services: Upgraded) -> None:
    url, prefix = all_services.mongo.url.get_secret_value(), all_services.mongo.prefix
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        jobs = client[f"{prefix}scheduler"]["jobs"].index_information()
        found = client[f"{prefix}registry"]["programs"].index_information()
    assert {"shared_with_1", "status_1_owner_1__id_-1"} <= set(jobs)
    assert not {"status_1", "owner_1_status_1"} & set(jobs)
    assert {"groups_1", "owner_1_name_1"} <= set(found)


async def _result(api: Api, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(await api.result({"id": job_id})))
    return found
