"""Streams that are open when their listener's rights end."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from qrt_contracts.states import JobState
from qrt_gateway.handlers import guarding, many, outputs
from tests.integration.gateway.test_streams import JOB, listener, rest_of, serving
from tests.support.waiting import wait_until
from tests.unit.gateway.world import World, world


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[World, str, str]]:
    """A gateway that looks often, its address, and a token that is its own; Alice's job runs."""
    for module in (guarding, many, outputs):
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    async with world() as gateway, serving(gateway) as server:
        host, port = server.address
        gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
        await gateway.scheduler.output(JOB, "one\n")
        issued = (await gateway.http.post("/v1/tokens", json={})).json()
        yield gateway, f"{host}:{port}", issued["token"]


async def revoke(gateway: World) -> None:
    listed = (await gateway.http.get("/v1/tokens")).json()["tokens"]
    assert (await gateway.http.delete(f"/v1/tokens/{listed[-1]['id']}")).status_code == 204


@pytest.mark.parametrize("path", [f"/v1/jobs/{JOB}/stream", "/v1/stream"])
async def test_a_stream_ends_with_its_token(served: tuple[World, str, str], path: str) -> None:
    gateway, address, token = served
    async with listener(f"ws://{address}{path}", token=token) as connection:
        if path == "/v1/stream":
            await connection.send(json.dumps({"type": "subscribe", "all": True}))
        assert json.loads(await connection.recv())["type"] != "error"
        await revoke(gateway)
        frames = await rest_of(connection)
        assert connection.close_code == 1008
    assert (frames[-1]["type"], frames[-1]["problem"]["code"]) == ("error", "NotAuthenticated")


async def test_a_job_that_is_not_shared_any_more_is_not_followed_any_more(
    served: tuple[World, str, str],
) -> None:
    gateway, address, token = served
    other = "1" * 32
    gateway.scheduler.add(other, status=JobState.RUNNING, attempt=1)
    async with listener(f"ws://{address}/v1/stream", token=token) as connection:
        await connection.send(json.dumps({"type": "subscribe", "job_id": JOB}))
        assert json.loads(await connection.recv())["job_id"] == JOB
        gateway.scheduler.jobs[JOB] = gateway.scheduler.jobs[JOB].model_copy(update={"owner": "bob"})
        while (frame := json.loads(await connection.recv()))["type"] != "error":
            assert frame["job_id"] == JOB
        assert (frame["job_id"], frame["problem"]["code"]) == (JOB, "NotFound")
        await connection.send(json.dumps({"type": "subscribe", "job_id": other}))
        assert json.loads(await connection.recv())["job_id"] == other


@pytest.mark.parametrize("path", ["stream", "logs?follow=true"])
async def test_an_answer_that_goes_on_ends_with_its_token(served: tuple[World, str, str], path: str) -> None:
    gateway, address, token = served
    told: list[Any] = []
    client = httpx.AsyncClient(
        base_url=f"http://{address}", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )
    async with client, client.stream("GET", f"/v1/jobs/{JOB}/{path}") as reply:
        assert reply.status_code == 200
        pieces = reply.aiter_text()
        told.append(await anext(pieces))
        await revoke(gateway)
        await wait_until(lambda: _refused(gateway, token), description="the token is refused")
        try:
            while True:
                await gateway.scheduler.output(JOB, "more\n")
                told.append(await anext(pieces))
        except (StopAsyncIteration, httpx.RemoteProtocolError):
            pass
    if path == "stream":
        assert "NotAuthenticated" in told[-1]


async def _refused(gateway: World, token: str) -> bool:
    async with gateway.client(token) as client:
        return (await client.get("/v1/account")).status_code == 401
