"""Following outputs over real connections that break; the blocking and the asynchronous way."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from quafu_runtime import AsyncOutputStream, InterimResult, OutputStream, errors
from quafu_runtime._outputs import JobOutput
from quafu_runtime._patience import Patience
from quafu_runtime._stream import StreamState
from tests.sdk import frames
from tests.sdk.stream_server import Behaviour, StreamServer, Visit, serves

Follow = Callable[[StreamServer, StreamState], list[JobOutput]]

TOTAL = 200
CUTS: list[Behaviour | int] = [
    serves(TOTAL, until=0),
    serves(TOTAL, until=1),
    503,
    serves(TOTAL, until=64, batch=7),
    serves(TOTAL, until=65, repeat=30),
    502,
    serves(TOTAL, until=199, batch=50, repeat=64),
    serves(TOTAL, until=200, batch=3),
    serves(TOTAL, repeat=10),
]


def blocking(server: StreamServer, state: StreamState) -> list[JobOutput]:
    with OutputStream(server.account, state) as stream:
        return list(stream)


def asynchronous(server: StreamServer, state: StreamState) -> list[JobOutput]:
    async def follow() -> list[JobOutput]:
        async with AsyncOutputStream(server.account, state) as stream:
            return [output async for output in stream]

    return asyncio.run(follow())


@pytest.fixture(params=[blocking, asynchronous], ids=["blocking", "asynchronous"])
def follow(request: pytest.FixtureRequest) -> Follow:
    found: Follow = request.param
    return found


def test_every_output_comes_once_in_order_over_cut_connections(follow: Follow) -> None:
    with StreamServer(*CUTS) as server:
        found = follow(server, StreamState(frames.JOB))

    assert [output.number for output in found] == list(range(1, TOTAL + 1))
    values = [output.value for output in found if isinstance(output, InterimResult)]
    assert values == [f"value {number}".encode() for number in range(1, TOTAL + 1)]
    assert server.visits == [(0, 0), (1, 0), (1, 1), (1, 64), (1, 65), (1, 199), (1, 200)]


def test_the_token_is_sent_with_every_handshake(follow: Follow) -> None:
    with StreamServer(serves(1, until=1), serves(1)) as server:
        follow(server, StreamState(frames.JOB))

    assert [headers["Authorization"] for headers in server.headers] == ["Bearer testapitoken"] * 2


def test_a_server_that_leaves_politely_is_come_back_to(follow: Follow) -> None:
    def leave(visit: Visit) -> None:
        visit.send(frames.outputs([1]))
        visit.close(1012)

    with StreamServer(leave, serves(2)) as server:
        found = follow(server, StreamState(frames.JOB))

    assert [output.number for output in found] == [1, 2]


def test_a_hole_makes_it_come_back_for_what_is_missing(follow: Follow) -> None:
    def skip(visit: Visit) -> None:
        visit.send(frames.outputs([1, 2]))
        visit.send(frames.outputs([4]))
        visit.await_client()

    with StreamServer(skip, serves(4)) as server:
        found = follow(server, StreamState(frames.JOB))

    assert [output.number for output in found] == [1, 2, 3, 4]
    assert server.visits[1] == (1, 2)


def test_a_new_attempt_is_followed_from_its_beginning(follow: Follow) -> None:
    def second(visit: Visit) -> None:
        visit.send(frames.attempt(2))
        visit.send(frames.outputs([1, 2], attempt=2))
        visit.send(frames.end(2, attempt=2))

    with StreamServer(serves(3, until=3), second) as server:
        found = follow(server, StreamState(frames.JOB))

    assert [(o.attempt, o.number) for o in found] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]


def test_a_refused_token_ends_it_at_once(follow: Follow) -> None:
    with StreamServer(401) as server, pytest.raises(errors.NotAuthenticated):
        follow(server, StreamState(frames.JOB))

    assert len(server.headers) == 1


def test_a_refusal_in_a_frame_ends_it_at_once(follow: Follow) -> None:
    def refuse(visit: Visit) -> None:
        visit.send(frames.error("NotFound", retryable=False))
        visit.close(1008)

    with StreamServer(refuse) as server, pytest.raises(errors.JobNotFound):
        follow(server, StreamState(frames.JOB))

    assert len(server.visits) == 1


def test_a_refusal_by_close_code_alone_ends_it_at_once(follow: Follow) -> None:
    with StreamServer(lambda visit: visit.close(1008)) as server, pytest.raises(errors.InvalidState):
        follow(server, StreamState(frames.JOB))

    assert len(server.visits) == 1


def test_patience_with_a_server_that_only_fails_ends(follow: Follow) -> None:
    patience = Patience(total_seconds=0.2, first_pause_seconds=0.05)
    with StreamServer(503) as server, pytest.raises(errors.StreamBroken, match="503"):
        follow(server, StreamState(frames.JOB, patience=patience))

    assert len(server.headers) > 1


def test_closing_from_another_thread_ends_the_iteration() -> None:
    def quiet(visit: Visit) -> None:
        visit.send(frames.outputs([1]))
        visit.await_client()

    with StreamServer(quiet) as server:
        stream = OutputStream(server.account, StreamState(frames.JOB))
        assert next(stream).number == 1
        closer = threading.Thread(target=stream.close)
        closer.start()
        assert list(stream) == []
        closer.join(10)

    assert stream.end is None
    assert len(server.visits) == 1


async def test_closing_from_another_task_ends_the_iteration() -> None:
    def quiet(visit: Visit) -> None:
        visit.send(frames.outputs([1]))
        visit.await_client()

    with StreamServer(quiet) as server:
        stream = AsyncOutputStream(server.account, StreamState(frames.JOB))
        assert (await anext(stream)).number == 1
        async with asyncio.TaskGroup() as group:
            rest = group.create_task(_collect(stream))
            group.create_task(stream.aclose())

    assert rest.result() == []
    assert len(server.visits) == 1


async def _collect(stream: AsyncOutputStream) -> list[JobOutput]:
    return [output async for output in stream]
