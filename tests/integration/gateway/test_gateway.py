"""The composed gateway on a real database, with the registry behind it and sockets in front."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from pydantic import SecretStr

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.settings import HealthSettings, MongoSettings
from qrt_contracts.ids import new_id
from qrt_contracts.states import JobState
from qrt_contracts.values import INLINE_BYTES
from qrt_gateway.compose import Gateway, compose
from qrt_gateway.settings import GatewaySettings
from qrt_registry.compose import compose as compose_registry
from qrt_registry.settings import RegistrySettings
from tests.support.composed import running
from tests.support.waiting import wait_until
from tests.unit.gateway.fakes import FakeScheduler

GOOD = "def run(task, userpub, params):\n    return params\n"
OFF = HealthSettings(port=0)


@dataclass
class Runtime:
    """What serves, and a client with an account nobody else has."""

    gateway: Gateway
    scheduler: FakeScheduler
    http: httpx.AsyncClient
    settings: GatewaySettings
    bus: MemoryBus

    def client(self, token: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.gateway.url, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
async def runtime(mongo_url: str) -> AsyncIterator[Runtime]:
    """A gateway and a registry that run, and a scheduler in memory."""
    mongo, bus = MongoSettings(url=SecretStr(mongo_url), prefix=f"t{new_id()[-12:]}_"), MemoryBus()
    scheduler = FakeScheduler(bus)
    await bus.serve("scheduler", scheduler.handlers())
    settings = GatewaySettings(
        mongo=mongo, health=OFF, port=0, bootstrap_tokens=SecretStr("alice=alice-token,bob=bob-token")
    )
    async with (
        compose(settings, bus=bus) as gateway,
        compose_registry(RegistrySettings(mongo=mongo, health=OFF), bus=bus) as registry,
        running(gateway, registry),
    ):
        whole = Runtime(gateway, scheduler, None, settings, bus)  # type: ignore[arg-type]
        async with whole.client("alice-token") as whole.http:
            await wait_until(lambda: _up(gateway), description="the gateway takes connections")
            yield whole
    await bus.close()


def _up(gateway: Gateway) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(gateway.address) == 0


async def test_a_program_goes_in_and_a_job_comes_out(runtime: Runtime) -> None:
    created = await runtime.http.post("/v1/programs", json={"name": "hello", "source": GOOD})
    assert created.status_code == 201, created.text
    program = created.json()
    assert (await runtime.http.get(f"/v1/programs/{program['id']}/source")).text == GOOD
    body = {"program_name": "hello", "input": {"x": "ü" * INLINE_BYTES}}
    job = (await runtime.http.post("/v1/jobs", json=body)).json()
    assert job["program"]["digest"] == program["latest"]["bundle"]["sha256"]
    assert runtime.scheduler.submissions[0].input.artifact is not None


async def test_a_bad_program_is_refused_with_its_line(runtime: Runtime) -> None:
    body = {"name": "bad", "source": "x = 1\ndef run(task):\n    pass\n"}
    reply = await runtime.http.post("/v1/programs", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "ProgramInvalid")
    assert "line 2" in reply.json()["detail"]
    assert reply.json()["errors"][0]["pointer"] == "/source"


async def test_tokens_are_kept_over_a_restart_and_shared_by_replicas(runtime: Runtime) -> None:
    issued = (await runtime.http.post("/v1/tokens", json={"name": "laptop"})).json()
    async with compose(runtime.settings, bus=runtime.bus) as second, running(second):
        await wait_until(lambda: _up(second), description="the second gateway takes connections")
        async with httpx.AsyncClient(base_url=second.url) as http:
            reply = await http.get("/v1/account", headers={"api_token": issued["token"]})
            assert (reply.json()["name"], reply.json()["role"]) == ("alice", "admin")
            listed = await http.get("/v1/tokens", headers={"api_token": issued["token"]})
            assert [each["name"] for each in listed.json()["tokens"]] == ["bootstrap", "laptop"]
    async with runtime.client("bob-token") as bob:
        assert (await bob.get("/v1/account")).json()["role"] == "user"


async def test_accounts_and_groups_are_kept_in_the_database(runtime: Runtime) -> None:
    http = runtime.http
    carol = (await http.post("/v1/accounts", json={"name": "carol", "role": "viewer"})).json()
    for group in ("blue", "green"):
        assert (await http.post("/v1/groups", json={"name": group})).status_code == 201
        for member in ("carol", "bob", "bob"):
            assert (await http.put(f"/v1/groups/{group}/members/{member}")).status_code == 204
    assert (await http.delete("/v1/groups/blue/members/bob")).status_code == 204
    groups = (await http.get("/v1/groups")).json()["groups"]
    assert [(each["name"], each["members"]) for each in groups] == [
        ("blue", ["carol"]),
        ("green", ["bob", "carol"]),
    ]
    assert (await http.delete("/v1/groups/blue")).status_code == 204
    async with runtime.client(carol["token"]) as client:
        who = (await client.get("/v1/account")).json()
        assert (who["groups"], who["scopes"]) == (["green"], ["read"])
        (token,) = (await client.get("/v1/tokens")).json()["tokens"]
        assert token["last_used_at"] is not None
    page = (await http.get("/v1/accounts?limit=1&cursor=bob")).json()
    assert [(each["name"], each["groups"]) for each in page["accounts"]] == [("carol", ["green"])]
    assert (await http.patch("/v1/accounts/alice", json={"role": "user"})).status_code == 409
    assert (await http.patch("/v1/accounts/carol", json={"role": "admin"})).json()["role"] == "admin"
    assert (await http.patch("/v1/accounts/alice", json={"disabled": True})).status_code == 200
    assert (await http.get("/v1/account")).status_code == 401


async def test_of_two_gateways_that_start_with_nothing_one_makes_the_administrator(
    mongo_url: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    mongo, bus = MongoSettings(url=SecretStr(mongo_url), prefix=f"t{new_id()[-12:]}_"), MemoryBus()
    settings = GatewaySettings(mongo=mongo, health=OFF, port=0)
    async with compose(settings, bus=bus) as one, compose(settings, bus=bus) as two, running(one, two):
        for each in (one, two):
            await wait_until(lambda each=each: _up(each), description="a gateway takes connections")
        (line,) = [each for each in capsys.readouterr().err.splitlines() if ": qrt_" in each]
        token = line.split()[-1]
        assert line.startswith("The first administrator is 'admin'")
        assert token not in caplog.text
        for each in (one, two):
            async with httpx.AsyncClient(base_url=each.url) as http:
                who = await http.get("/v1/account", headers={"Authorization": f"Bearer {token}"})
                assert (who.json()["name"], who.json()["role"]) == ("admin", "admin")
    await bus.close()


async def test_a_revoked_token_says_so(runtime: Runtime) -> None:
    issued = (await runtime.http.post("/v1/tokens", json={})).json()
    async with runtime.client(issued["token"]) as http:
        assert (await http.get("/v1/account")).status_code == 200
        assert (await runtime.http.delete(f"/v1/tokens/{issued['id']}")).status_code == 204
        assert "revoked" in (await http.get("/v1/account")).json()["detail"]


@pytest.mark.parametrize("megabytes", [17, 60])
async def test_a_client_that_sends_too_much_still_reads_why(runtime: Runtime, megabytes: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(megabytes):
            yield b" " * (1 << 20)

    headers = {"Content-Type": "application/json"}
    for content in (b" " * (megabytes << 20), pieces()):
        reply = await runtime.http.post("/v1/jobs", content=content, headers=headers, timeout=60)
        assert (reply.status_code, reply.json()["code"]) == (413, "TooLarge")
    assert (await runtime.http.get("/v1/account")).status_code == 200


async def test_doubled_slashes_are_collapsed_on_the_wire(runtime: Runtime) -> None:
    reader, writer = await asyncio.open_connection(*runtime.gateway.address)
    writer.write(
        b"GET //v1/account HTTP/1.1\r\nHost: x\r\napi_token: alice-token\r\nConnection: close\r\n\r\n"
    )
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")


async def test_an_address_in_use_stops_the_start_with_its_name(runtime: Runtime) -> None:
    host, port = runtime.gateway.address
    taken = runtime.settings.model_copy(update={"port": port})
    with pytest.raises(OSError, match=f"cannot serve on {host}:{port}"):
        async with compose(taken, bus=runtime.bus):
            pass


async def test_a_stop_answers_those_who_wait_and_refuses_others(runtime: Runtime) -> None:
    job = runtime.scheduler.add(new_id(), status=JobState.RUNNING, attempt=1)
    async with compose(runtime.settings, bus=runtime.bus) as second:
        async with running(second):
            await wait_until(lambda: _up(second), description="the second gateway takes connections")
            http = httpx.AsyncClient(base_url=second.url, headers={"api_token": "alice-token"}, timeout=30)
            waiting = asyncio.ensure_future(http.get(f"/v1/jobs/{job.id}/result", params={"wait": 50}))
            await wait_until(lambda: runtime.scheduler.looks, description="the wait has begun")
        reply = await waiting
        assert reply.json()["status"] == "RUNNING"
        await http.aclose()
        assert not _up(second)
