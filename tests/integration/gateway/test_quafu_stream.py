"""Interim results as Quafu clients receive them, over real sockets."""

import base64
from collections.abc import AsyncIterator

import pytest
import websockets
from websockets.asyncio.client import connect

from qrt_contracts.events import JobOutput
from qrt_contracts.states import JobState
from qrt_contracts.values import Encoding, Output, OutputKind
from tests.integration.gateway.test_streams import serving
from tests.support.waiting import wait_until
from tests.unit.gateway.fakes import NOW
from tests.unit.gateway.world import OTHER, TOKEN, World, world

pytestmark = pytest.mark.quafu

JOB = "0" * 31 + "1"
PATHS = ("", "/", "//", "/compat/quafu-a/", "/compat/quafu-a", "/runtime/")


@pytest.fixture
async def served() -> AsyncIterator[tuple[World, str]]:
    async with world() as gateway, serving(gateway) as server:
        host, port = server.address
        yield gateway, f"ws://{host}:{port}"


def listener(
    url: str, token: str = TOKEN, job: str = JOB, names: tuple[str, str] = ("api_token", "job_id")
) -> connect:
    return connect(url, additional_headers={names[0]: token, names[1]: job}, ping_interval=None)


async def publish(gateway: World, *values: tuple[Encoding, str]) -> None:
    """Store and tell interim results, each after one line of log."""
    stored = gateway.scheduler.outputs.setdefault((JOB, 1), [])
    for encoding, data in values:
        log = Output(number=len(stored) + 1, kind=OutputKind.LOG, at=NOW, stream="stdout", data="noise\n")
        said = Output(number=len(stored) + 2, kind=OutputKind.INTERIM, at=NOW, encoding=encoding, data=data)
        stored += [log, said]
        await gateway.bus.publish(JobOutput(job_id=JOB, attempt=1, outputs=(log, said)))


async def heard(url: str) -> tuple[list[str | bytes], int | None]:
    async with listener(url) as connection:
        messages = [message async for message in connection]
    return messages, connection.close_code


@pytest.mark.parametrize("path", PATHS)
async def test_a_listener_gets_an_acknowledgement_the_bytes_the_id_and_a_proper_close(
    served: tuple[World, str], path: str
) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    await publish(gateway, (Encoding.UTF8, "publish from job 10"))
    async with listener(url + path) as connection:
        assert isinstance(await connection.recv(), str)
        assert await connection.recv() == b"publish from job 10"
        await publish(gateway, (Encoding.TEXT, "é"), (Encoding.JSON, '{"e": -1}'))
        await publish(gateway, (Encoding.BASE64, base64.b64encode(b"\xff\x00").decode()))
        await gateway.scheduler.end(JOB)
        rest = [message async for message in connection]
    assert rest == ["é".encode(), b'{"e": -1}', b"\xff\x00", JOB.encode()]
    assert connection.close_code == 1000


async def test_who_comes_after_the_end_gets_all_of_it(served: tuple[World, str]) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    await publish(gateway, (Encoding.UTF8, "one"), (Encoding.UTF8, "two"))
    await gateway.scheduler.end(JOB)
    messages, code = await heard(url)
    assert isinstance(messages[0], str)
    assert messages[1:] == [b"one", b"two", JOB.encode()]
    assert code == 1000


async def test_who_was_told_the_end_and_comes_back_is_told_only_that_there_is_no_more(
    served: tuple[World, str],
) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    await publish(gateway, (Encoding.UTF8, "one"))
    await gateway.scheduler.end(JOB)
    first, _ = await heard(url)
    again, code = await heard(url)
    assert len(first) == 3
    assert len(again) == 1
    assert isinstance(again[0], str)
    assert code == 1000


async def test_who_left_before_the_end_gets_everything_on_coming_back(served: tuple[World, str]) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    await publish(gateway, (Encoding.UTF8, "one"))
    async with listener(url) as connection:
        await connection.recv()
        assert await connection.recv() == b"one"
    await gateway.scheduler.end(JOB)
    messages, _ = await heard(url)
    assert messages[1:] == [b"one", JOB.encode()]


async def test_the_text_that_ends_some_clients_is_never_a_text_message(served: tuple[World, str]) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    await publish(gateway, (Encoding.TEXT, "_poison_pill"), (Encoding.TEXT, "after"))
    await gateway.scheduler.end(JOB)
    messages, _ = await heard(url)
    assert messages[1:] == [b"_poison_pill", b"after", JOB.encode()]


@pytest.mark.parametrize("names", [("apitoken", "jobid"), ("api-token", "job-id")])
async def test_headers_are_known_in_every_spelling(served: tuple[World, str], names: tuple[str, str]) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    async with listener(url, names=names) as connection:
        assert isinstance(await connection.recv(), str)


@pytest.mark.parametrize(
    ("token", "job"), [("unknown-token", JOB), (OTHER, JOB), (TOKEN, "f" * 32), (TOKEN, "nonsense")]
)
async def test_who_may_not_listen_is_closed_with_another_code(
    served: tuple[World, str], token: str, job: str
) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    async with listener(url, token, job) as connection:
        with pytest.raises(websockets.ConnectionClosedError):
            await connection.recv()
    assert connection.close_code == 1008


async def test_a_listener_is_let_go_when_it_leaves(served: tuple[World, str]) -> None:
    gateway, url = served
    gateway.scheduler.add(JOB, status=JobState.RUNNING, attempt=1)
    async with listener(url) as connection:
        await connection.recv()
    topics = gateway.live._topics
    await wait_until(
        lambda: not any(topic.listeners for topic in topics.values()), description="nobody listens"
    )
