"""The stream of a job over real sockets: who is let in, what they get, how it ends."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from qrt_chassis.tasks import Tasks
from qrt_contracts.states import JobState
from qrt_gateway.server import HttpServer
from tests.support.waiting import wait_until
from tests.unit.gateway.world import OTHER, TOKEN, World, world

JOB = "0" * 32


@pytest.fixture
async def served() -> AsyncIterator[tuple[World, str]]:
    """A gateway on a port of its own, with the address of a job's stream."""
    async with world() as gateway, serving(gateway) as server:
        host, port = server.address
        yield gateway, f"ws://{host}:{port}/v1/jobs/{JOB}/stream"


@asynccontextmanager
async def serving(gateway: World) -> AsyncIterator[HttpServer]:
    server, tasks = HttpServer(gateway.app, host="127.0.0.1", port=0), Tasks("test")
    try:
        tasks.start(server.run(), name="server")
        await wait_until(lambda: server.serving, description="the server is up")
        yield server
        gateway.live.close()
        await server.drain()
    finally:
        await tasks.close()
        server.close()


def listener(url: str, token: str = TOKEN, **more: Any) -> connect:
    return connect(url, additional_headers={"Authorization": f"Bearer {token}"}, **more)


async def rest_of(connection: ClientConnection) -> list[dict[str, Any]]:
    frames = []
    with contextlib.suppress(websockets.ConnectionClosedError):  # the tests look at the code themselves
        async for text in connection:
            frames.append(json.loads(text))  # noqa: PERF401 - what came before the error counts
    return frames


def data(frames: list[dict[str, Any]]) -> list[str]:
    return [each["data"] for frame in frames if frame["type"] == "outputs" for each in frame["outputs"]]


@pytest.mark.parametrize("path", ["{}", "//{}"])
async def test_a_listener_gets_what_was_what_comes_and_the_end(served: tuple[World, str], path: str) -> None:
    gateway, url = served
    if path.startswith("//"):
        url = url.replace("/v1/", "//v1/")
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.output(JOB, "one\n", "two\n")
    async with listener(url) as connection:
        frames = [json.loads(await connection.recv()) for _ in range(3)]
        assert [each["type"] for each in frames] == ["attempt", "state", "outputs"]
        await gateway.scheduler.output(JOB, "three\n")
        await gateway.scheduler.end(JOB)
        frames += await rest_of(connection)
        assert connection.close_code == 1000
    assert data(frames) == ["one\n", "two\n", "three\n"]
    assert frames[-1]["type"] == "end"
    assert (frames[-1]["status"], frames[-1]["last_output"]) == ("SUCCEEDED", 3)


async def test_many_listeners_get_the_same(served: tuple[World, str]) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)

    async def listen() -> list[str]:
        async with listener(url) as connection:
            return data(await rest_of(connection))

    async with asyncio.TaskGroup() as group:
        listening = [group.create_task(listen()) for _ in range(20)]
        for number in range(50):
            await gateway.scheduler.output(JOB, f"{number}\n")
        await gateway.scheduler.end(JOB)
    for each in listening:
        assert each.result() == [f"{number}\n" for number in range(50)]


async def test_a_new_attempt_is_announced_and_counts_anew(served: tuple[World, str]) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.output(JOB, "first\n")
    async with listener(url) as connection:
        frames = [json.loads(await connection.recv()) for _ in range(3)]
        await gateway.scheduler.change(JOB, status=JobState.QUEUED)
        await gateway.scheduler.change(JOB, status=JobState.RUNNING, attempt=2)
        await gateway.scheduler.output(JOB, "second\n")
        await gateway.scheduler.end(JOB)
        frames += await rest_of(connection)
    kinds = [(each["type"], each["attempt"]) for each in frames]
    assert kinds == [
        ("attempt", 1),
        ("state", 1),
        ("outputs", 1),
        ("state", 1),
        ("attempt", 2),
        ("state", 2),
        ("outputs", 2),
        ("end", 2),
    ]


async def test_a_listener_that_does_not_read_gets_everything_in_the_end(
    served: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    gateway.scheduler.page_size = 50
    count, big = 400, "x" * 100_000
    async with listener(url, max_queue=1, max_size=None) as connection:
        assert json.loads(await connection.recv())["type"] == "attempt"
        for _ in range(count):
            await gateway.scheduler.output(JOB, big)
        await gateway.scheduler.end(JOB)
        frames = await rest_of(connection)
    numbers = [each["number"] for frame in frames if "outputs" in frame for each in frame["outputs"]]
    assert numbers == list(range(1, count + 1))
    assert len(gateway.scheduler.reads) > 2, "it never fell back to history"


@pytest.mark.parametrize(
    ("token", "change", "status", "code"),
    [
        ("wrong", {}, 401, "NotAuthenticated"),
        (OTHER, {}, 404, "NotFound"),
        (TOKEN, {JOB: "f" * 32}, 404, "NotFound"),
        (TOKEN, {JOB: "nonsense"}, 404, "NotFound"),
        (TOKEN, {"stream": "stream?after=-1"}, 422, "InvalidRequest"),
        (TOKEN, {"stream": "stream?before=1"}, 422, "InvalidRequest"),
    ],
)
async def test_who_may_not_listen_gets_a_problem_instead_of_a_socket(
    served: tuple[World, str], token: str, change: dict[str, str], status: int, code: str
) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB)
    for old, new in change.items():
        url = url.replace(old, new)
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with listener(url, token):
            pass
    response = refused.value.response
    assert (response.status_code, json.loads(response.body or b"")["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]


async def test_a_refused_websocket_is_told_of_in_one_line_and_is_no_error(
    served: tuple[World, str], caplog: pytest.LogCaptureFixture
) -> None:
    _, url = served
    caplog.set_level("INFO")
    for token in ("wrong-token", TOKEN):
        with pytest.raises(websockets.InvalidStatus):
            async with listener(url, token):
                raise AssertionError
    await wait_until(
        lambda: [each.getMessage().split()[2] for each in ours(caplog)] == ["401", "404"],
        description="a line for each",
    )
    assert [each.getMessage() for each in caplog.records if each.levelname not in ("DEBUG", "INFO")] == []


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.name == "qrt_gateway.handlers.envelope"]


async def test_a_websocket_where_there_is_none_is_refused_in_words(served: tuple[World, str]) -> None:
    _, url = served
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(url.replace("http://", "ws://") + "/v1/nothing"):
            pass
    response = refused.value.response
    problem = json.loads(response.body or b"")
    assert (response.status_code, problem["code"]) == (404, "NotFound")
    assert "/v1/nothing" in problem["detail"]


async def test_a_listener_that_leaves_is_forgotten(served: tuple[World, str]) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    async with listener(url) as connection:
        await connection.recv()
        assert gateway.live._mailboxes()
    await wait_until(lambda: not gateway.live._mailboxes(), description="nobody listens")


async def test_a_job_deleted_under_a_listener_ends_the_stream_for_good(served: tuple[World, str]) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    async with listener(url) as connection:
        await connection.recv()
        del gateway.scheduler.jobs[JOB]
        gateway.live._on_restored()
        frames = await rest_of(connection)
        assert (connection.close_code, frames[-1]["problem"]["code"]) == (1008, "NotFound")


async def test_a_stopping_gateway_sends_its_listeners_elsewhere() -> None:
    async with world() as gateway:
        gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
        async with serving(gateway) as server:
            host, port = server.address
            connection = await listener(f"ws://{host}:{port}/v1/jobs/{JOB}/stream")
            await connection.recv()
        frames = await rest_of(connection)
        assert connection.close_code in (1011, 1012)
        assert not frames or frames[-1]["type"] in ("state", "error")
