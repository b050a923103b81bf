"""The streams besides a job's WebSocket: server-sent events, a log that is followed, many jobs at once."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from qrt_contracts.api import MAX_SUBSCRIPTIONS
from qrt_contracts.ids import new_id
from qrt_contracts.states import JobState
from qrt_gateway.handlers import events
from tests.integration.gateway.test_streams import serving
from tests.support.waiting import wait_until
from tests.unit.gateway.world import TOKEN, World, world

JOB = "0" * 32
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def served() -> AsyncIterator[tuple[World, str]]:
    async with world(sweep_seconds=0.05) as gateway, serving(gateway) as server:
        host, port = server.address
        yield gateway, f"{host}:{port}"


# --- server-sent events -----------------------------------------------------------------------


@asynccontextmanager
async def event_source(address: str, **headers: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Read events as a browser does: fields until an empty line."""
    async with (
        httpx.AsyncClient(headers=HEADERS | {"Accept": "text/event-stream"} | headers) as client,
        client.stream("GET", f"http://{address}/v1/jobs/{JOB}/stream") as reply,
    ):
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        yield _events(reply)


async def _events(reply: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    async for line in reply.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            event[name or "comment"] = value
        elif event:
            yield event
            event = {}


def texts(found: list[dict[str, Any]]) -> list[str]:
    frames = [json.loads(each["data"]) for each in found if each.get("event") == "outputs"]
    return [output["data"] for frame in frames for output in frame["outputs"]]


async def test_events_carry_the_frames_and_their_places(served: tuple[World, str]) -> None:
    gateway, address = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.output(JOB, "one\n", "two\n")
    async with event_source(address) as coming:
        found = [await anext(coming) for _ in range(4)]
        await gateway.scheduler.output(JOB, "three\n")
        await gateway.scheduler.end(JOB)
        found += [each async for each in coming]
    assert [each.get("event") for each in found] == [None, "attempt", "state", "outputs", "outputs", "end"]
    assert [each.get("id") for each in found] == [None, "1.0", None, "1.2", "1.3", "1.3.end"]
    assert int(found[0]["retry"]) > 0
    assert texts(found) == ["one\n", "two\n", "three\n"]


async def test_a_client_that_comes_again_says_where_it_was(served: tuple[World, str]) -> None:
    gateway, address = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.output(JOB, *(f"{n}\n" for n in range(5)))
    await gateway.scheduler.end(JOB)
    async with event_source(address, **{"Last-Event-ID": "1.3"}) as coming:
        found = [each async for each in coming]
    assert texts(found) == ["3\n", "4\n"]
    path = f"/v1/jobs/{JOB}/stream"
    again = await gateway.http.get(path, headers={"Last-Event-ID": found[-1]["id"]})
    assert again.status_code == 204
    assert (await gateway.http.get(path, headers={"Last-Event-ID": "x"})).status_code == 422
    assert (await gateway.other.get(path)).status_code == 404


async def test_silence_is_filled_with_comments(
    served: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, address = served
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.01)
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    async with event_source(address) as coming:
        assert [await anext(coming) for _ in range(5)][-1].get("comment") is not None
        await gateway.scheduler.output(JOB, "late\n")
        await gateway.scheduler.end(JOB)
        assert texts([each async for each in coming]) == ["late\n"]


async def test_a_reader_of_events_that_leaves_is_forgotten(served: tuple[World, str]) -> None:
    gateway, address = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    async with event_source(address) as coming:
        await anext(coming)
        await wait_until(lambda: bool(gateway.live._mailboxes()), description="it listens")
    await wait_until(lambda: not gateway.live._mailboxes(), description="it is forgotten")


# --- logs -------------------------------------------------------------------------------------


async def test_a_log_is_followed_to_the_end_of_the_job(served: tuple[World, str]) -> None:
    gateway, address = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.output(JOB, "one\n")
    async with (
        httpx.AsyncClient(headers=HEADERS) as client,
        client.stream("GET", f"http://{address}/v1/jobs/{JOB}/logs?follow=true") as reply,
    ):
        coming = reply.aiter_text()
        assert await anext(coming) == "one\n"
        await gateway.scheduler.output(JOB, "two\n")
        assert await anext(coming) == "two\n"
        await gateway.scheduler.change(JOB, attempt=2)
        await gateway.scheduler.output(JOB, "again\n")
        await gateway.scheduler.end(JOB)
        assert "".join([each async for each in coming]) == "\n--- attempt 2 ---\nagain\n"


# --- many jobs --------------------------------------------------------------------------------


class Many:
    """A client of the stream of many jobs."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            frame: dict[str, Any] = json.loads(await self.connection.recv())
            return frame

    async def until(self, kind: str) -> list[dict[str, Any]]:
        frames = [await self.hear()]
        while frames[-1]["type"] != kind:
            frames.append(await self.hear())
        return frames


@asynccontextmanager
async def many(address: str, token: str = TOKEN) -> AsyncIterator[Many]:
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(f"ws://{address}/v1/stream", additional_headers=headers) as connection:
        yield Many(connection)


def running(gateway: World, **fields: Any) -> str:
    given: dict[str, Any] = {"status": JobState.RUNNING, "attempt": 1}
    return gateway.scheduler.add(new_id(), **given | fields).id


async def test_one_connection_follows_many_jobs_each_whole_and_in_order(served: tuple[World, str]) -> None:
    gateway, address = served
    jobs = [running(gateway) for _ in range(10)]
    async with many(address) as client:
        for job in jobs:
            await gateway.scheduler.output(job, "old\n")
            await client.say("subscribe", job_id=job)
        for number in range(20):
            for job in jobs:
                await gateway.scheduler.output(job, f"{number}\n")
        for job in jobs:
            await gateway.scheduler.end(job)
        frames = [frame for _ in jobs for frame in await client.until("end")]
        for job in jobs:
            own = [frame for frame in frames if frame["job_id"] == job]
            told = [each["data"] for frame in own if frame["type"] == "outputs" for each in frame["outputs"]]
            assert told == ["old\n", *(f"{n}\n" for n in range(20))]
            assert own[-1]["type"] == "end"


async def test_a_subscription_goes_on_where_it_is_told_to_and_ends_when_told(
    served: tuple[World, str],
) -> None:
    gateway, address = served
    job = running(gateway)
    await gateway.scheduler.output(job, "a", "b", "c")
    async with many(address) as client:
        await client.say("subscribe", job_id=job, attempt=1, after=2)
        frames = await client.until("outputs")
        assert [each["data"] for each in frames[-1]["outputs"]] == ["c"]
        await client.say("unsubscribe", job_id=job)
        assert (await client.hear()) == {"type": "unsubscribed", "job_id": job, "all": False}
        await gateway.scheduler.output(job, "d")
        await client.say("subscribe", job_id=job, attempt=1, after=4)
        await gateway.scheduler.output(job, "e")
        assert [each["data"] for each in (await client.until("outputs"))[-1]["outputs"]] == ["e"]


async def test_what_is_wrong_with_one_job_harms_no_other(served: tuple[World, str]) -> None:
    gateway, address = served
    mine, others = running(gateway), running(gateway, owner="bob")
    async with many(address) as client:
        await client.say("subscribe", job_id=others)
        refused = await client.hear()
        assert (refused["type"], refused["job_id"], refused["problem"]["code"]) == (
            "error",
            others,
            "NotFound",
        )
        for nonsense in ("{", "[]", json.dumps({"type": "subscribe"}), json.dumps({"type": "x"})):
            await client.connection.send(nonsense)
            frame = await client.hear()
            assert (frame["job_id"], frame["problem"]["code"]) == (None, "InvalidRequest")
        await client.say("subscribe", job_id=mine)
        await gateway.scheduler.end(mine)
        assert (await client.until("end"))[-1]["job_id"] == mine


async def test_the_number_of_subscriptions_is_bounded(served: tuple[World, str]) -> None:
    gateway, address = served
    async with many(address) as client:
        for _ in range(MAX_SUBSCRIPTIONS + 1):
            await client.say("subscribe", job_id=running(gateway))
        assert (await client.until("error"))[-1]["problem"]["code"] == "Overloaded"


async def test_states_of_all_my_jobs_are_told_and_outputs_only_if_asked(served: tuple[World, str]) -> None:
    gateway, address = served
    before, ended = running(gateway), running(gateway, status=JobState.SUCCEEDED)
    async with many(address) as client:
        await client.say("subscribe", all=True)
        assert (await client.hear())["type"] == "subscribed"
        first = await client.hear()
        assert (first["type"], first["job_id"], first["status"]) == ("state", before, "RUNNING")
        theirs = running(gateway, owner="bob")
        await gateway.scheduler.change(theirs, status=JobState.FAILED)
        mine = gateway.scheduler.add(new_id()).id
        await gateway.scheduler.change(mine, status=JobState.RUNNING, attempt=1)
        await gateway.scheduler.output(mine, "not asked for")
        await gateway.scheduler.end(mine)
        told = [await client.hear() for _ in range(2)]
        assert [(each["job_id"], each["status"]) for each in told] == [(mine, "RUNNING"), (mine, "SUCCEEDED")]
        assert ended not in {each["job_id"] for each in [first, *told]}

        await client.say("subscribe", all=True, outputs=True)
        await client.until("subscribed")
        more = gateway.scheduler.add(new_id()).id
        await gateway.scheduler.change(more, status=JobState.RUNNING, attempt=1)
        await gateway.scheduler.output(more, "asked for")
        frames = await client.until("outputs")
        assert frames[-1]["outputs"][0]["data"] == "asked for"
        assert frames[-1]["job_id"] == more
        await client.say("unsubscribe", all=True)
        assert (await client.until("unsubscribed"))[-1]["all"] is True


async def test_states_that_were_missed_are_asked_for(served: tuple[World, str]) -> None:
    gateway, address = served
    async with many(address) as client:
        await client.say("subscribe", all=True)
        await client.until("subscribed")
        job = running(gateway)
        gateway.live._on_restored()
        assert (await client.until("state"))[-1]["job_id"] == job


async def test_nobody_unknown_gets_in(served: tuple[World, str]) -> None:
    _, address = served
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with many(address, "wrong"):
            pass
    assert caught.value.response.status_code == 401


async def test_a_gateway_that_stops_sends_its_listeners_elsewhere(served: tuple[World, str]) -> None:
    gateway, address = served
    async with many(address) as client:
        await client.say("subscribe", job_id=running(gateway))
        await client.until("state")
        gateway.live.close()
        assert (await client.until("error"))[-1]["problem"]["retryable"] is True
        await client.connection.wait_closed()
        assert client.connection.close_code == 1011
