"""Live outputs: every value once and in order, whatever is killed; bounded, whoever does not read."""

import asyncio
import itertools
import json
import os
import random
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from quafu_runtime import Account, AsyncRuntimeService, InterimResult, RuntimeService
from tests.support.many_sockets import Readers
from tests.support.many_sockets import connect as raw_connect
from tests.support.mongo import MongoServer
from tests.support.proxy import Proxy, open_proxy
from tests.support.rabbit import RabbitNode
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.system.composition import TOKEN, Composition, four_services

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
VALUES = 20_000
PUBLISHING = """
import time


def run(task, userpub, params):
    time.sleep(params.get("delay", 0))
    for number in range(params["count"]):
        userpub.publish(params["filler"] + str(number) if "filler" in params else number)
        if number % params["burst"] == 0:
            time.sleep(params["pause"])
    return params["count"]
"""


@dataclass
class World:
    """One private composition, and the engines it stands on."""

    whole: Composition
    rabbit: RabbitNode
    mongo: MongoServer
    api: Api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("live")
    (directory / "rabbit").mkdir()
    rabbit, mongo = RabbitNode(directory / "rabbit"), MongoServer(directory / "mongo")
    try:
        rabbit.start()
        mongo.start()
        async with (
            four_services(directory, rabbit.url, mongo.url) as whole,
            httpx.AsyncClient(base_url=whole.url, headers=HEADERS, timeout=90) as client,
        ):
            yield World(whole, rabbit, mongo, Api(client))
    finally:
        rabbit.remove()
        mongo.remove()


# --- nothing is lost, doubled or out of order ---------------------------------------------------


@dataclass
class Seen:
    """What one listener got of the newest attempt."""

    attempt: int = 0
    values: list[Any] = field(default_factory=list)

    def add(self, attempt: int, value: Any) -> None:
        if attempt != self.attempt:
            self.attempt, self.values = attempt, []
        self.values.append(value)

    def frame(self, frame: dict[str, Any]) -> None:
        for each in frame["outputs"]:
            self.add(frame["attempt"], json.loads(each["data"]))


async def by_sdk(url: str, job_id: str, seen: Seen) -> None:
    def listen() -> None:
        with RuntimeService(Account(api_token=TOKEN, url=url)).job(job_id).outputs() as outputs:
            for output in outputs:
                assert isinstance(output, InterimResult)
                seen.add(output.attempt, output.value)

    await asyncio.to_thread(listen)


async def by_async_sdk(url: str, job_id: str, seen: Seen) -> None:
    async with AsyncRuntimeService(Account(api_token=TOKEN, url=url)) as service:
        async for output in (await service.job(job_id)).outputs():
            assert isinstance(output, InterimResult)
            seen.add(output.attempt, output.value)


async def by_stream_of_many(url: str, job_id: str, seen: Seen) -> None:
    async with AsyncRuntimeService(Account(api_token=TOKEN, url=url)) as service:
        async for event in service.stream(job_id):
            if isinstance(event, InterimResult):
                seen.add(event.attempt, event.value)


async def by_websocket(url: str, job_id: str, seen: Seen) -> None:
    """What a client without a library does: count, and come back with the count."""
    attempt, after = 0, 0
    while True:
        place = f"?after={after}&attempt={attempt}" if attempt else ""
        address = f"ws{url.removeprefix('http')}/v1/jobs/{job_id}/stream{place}"
        with suppress(WebSocketException, OSError, TimeoutError):
            async with connect(address, additional_headers=HEADERS, max_size=None) as connection:
                async for text in connection:
                    frame = json.loads(text)
                    if frame["type"] == "end":
                        return
                    if frame["type"] == "attempt":
                        attempt, after = frame["attempt"], 0
                    if frame["type"] == "outputs":
                        seen.frame(frame)
                        after = frame["outputs"][-1]["number"]
        await asyncio.sleep(0.1)


async def by_events(url: str, job_id: str, seen: Seen) -> None:
    """What a browser's EventSource does: send the last id it got."""
    last: dict[str, str] = {}
    async with httpx.AsyncClient(headers=HEADERS, timeout=httpx.Timeout(30)) as client:
        while True:
            with suppress(httpx.HTTPError):
                async with client.stream(
                    "GET", f"{url}/v1/jobs/{job_id}/stream", headers={"Accept": "text/event-stream"} | last
                ) as reply:
                    if await _read_events(reply, last, seen):
                        return
            await asyncio.sleep(0.1)


async def _read_events(reply: httpx.Response, last: dict[str, str], seen: Seen) -> bool:
    event: dict[str, str] = {}
    async for line in reply.aiter_lines():
        if line:
            name, _, event_value = line.partition(": ")
            event[name] = event_value
            continue
        if event.get("event") == "outputs":
            seen.frame(json.loads(event["data"]))
        if "id" in event:  # counts once the whole event is there
            last["Last-Event-ID"] = event["id"]
        if event.get("event") == "end":
            return True
        event = {}
    return False


LISTENERS: dict[str, Callable[[str, str, Seen], Coroutine[Any, Any, None]]] = {
    "SDK": by_sdk,
    "async SDK": by_async_sdk,
    "SDK, many jobs": by_stream_of_many,
    "WebSocket": by_websocket,
    "server-sent events": by_events,
}


async def torment(runtime: World, proxy: Proxy, chance: random.Random) -> None:
    """Kill everything that is between a program and its listeners, in a random order."""

    async def restart(name: str) -> None:
        await runtime.whole.processes[name].kill()
        await runtime.whole.processes[name].start()
        await runtime.whole.ready()

    async def rabbit() -> None:
        await runtime.rabbit.kill()
        await runtime.rabbit.come_back()
        await runtime.whole.ready()

    async def cut() -> None:
        proxy.cut()

    deeds: list[Callable[[], Awaitable[None]]] = [
        *[cut] * 8,
        lambda: restart("gateway"),
        lambda: restart("gateway"),
        lambda: restart("scheduler"),
        rabbit,
    ]
    chance.shuffle(deeds)
    for deed in deeds:
        await asyncio.sleep(chance.uniform(0.2, 1.5))
        await deed()


async def test_every_listener_gets_each_value_once_and_in_order_whatever_is_killed(runtime: World) -> None:
    seed = int(os.environ.get("QRT_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print("seed", seed)  # pytest shows it when the test fails
    program = await runtime.api.upload(PUBLISHING)
    job = await runtime.api.submit(program, {"count": VALUES, "burst": 25, "pause": 0.03})
    seen = {name: Seen() for name in LISTENERS}
    async with open_proxy(runtime.whole.url) as proxy:
        url = proxy.url(runtime.whole.url)
        await runtime.api.until_running(job)
        async with asyncio.timeout(240), asyncio.TaskGroup() as group:
            for name, listen in LISTENERS.items():
                group.create_task(listen(url, job["id"], seen[name]))
            await torment(runtime, proxy, random.Random(seed))
    assert (await runtime.api.result(job))["result"] == VALUES
    for name, each in seen.items():
        assert each.values == list(range(VALUES)), name


# --- nobody who does not read harms the others ---------------------------------------------------

READING, SILENT = 900, 100
FILLER = "x" * 20_000
PIECES = 120


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


async def test_a_thousand_listeners_of_whom_a_hundred_never_read(runtime: World) -> None:
    gateway = runtime.whole.processes["gateway"].process
    assert gateway is not None
    program = await runtime.api.upload(PUBLISHING)
    given = {"count": PIECES, "filler": FILLER, "burst": 1, "pause": 0.08, "delay": 6}
    job = await runtime.api.submit(program, given)
    before = resident_bytes(gateway.pid)
    url = f"ws{runtime.whole.url.removeprefix('http')}/v1/jobs/{job['id']}/stream"
    # All but the first have next to no buffer of their own: the gateway feels them at once.
    sizes = [None, *[4096] * (SILENT - 1)]
    silent = [(await asyncio.to_thread(raw_connect, url, TOKEN, receive_buffer=size))[0] for size in sizes]
    readers = await asyncio.to_thread(Readers, url, TOKEN, READING)
    try:
        async with asyncio.timeout(120):
            received = await readers.read_all()
        grown = resident_bytes(gateway.pid) - before
        expected = [f"{number}" for number in range(PIECES)]
        wrong = [each for each in received if _numbers(each) != expected]
        assert not wrong, f"{len(wrong)} readers; one got {_numbers(wrong[0])}, then {wrong[0][-300:]!r}"
        assert grown < 400 << 20
        # One that reads at last has its buffer and then the rest: the server may have given it up meanwhile.
        got = _numbers(await asyncio.to_thread(_read_out, silent[0]))
        again = await asyncio.to_thread(raw_connect, f"{url}?attempt=1&after={len(got)}", TOKEN)
        got += _numbers(await asyncio.to_thread(_read_out, *again))
        assert got == expected
    finally:
        readers.close()
        for each in silent:
            each.close()


def _numbers(received: bytes) -> list[str]:
    return [each.partition(b'"')[0].decode() for each in received.split(FILLER.encode())[1:]]


def _read_out(connection: socket.socket, begun: bytes = b"") -> bytes:
    """Return what is there until the end or the server's close."""
    received = bytearray(begun)
    with connection, suppress(ConnectionResetError):
        while b'"type":"end"' not in received[-400:] and (data := connection.recv(1 << 18)):
            received += data
    return bytes(received)


# --- a program that floods -----------------------------------------------------------------------

LINES = 1_000_000
PRINTING = """
def run(task, userpub, params):
    for number in range(params):
        print(number, number)
    return "printed"
"""


async def test_a_log_of_a_million_lines_is_followed_kept_and_in_nobodys_way(runtime: World) -> None:
    api = runtime.api
    printing = await api.upload(PRINTING, limits={"log_bytes": 64 << 20})
    small = await api.upload("def run(task, userpub, params):\n    print('small')\n    return params\n")
    job = await api.submit(printing, LINES)
    text = "".join(f"{number} {number}\n" for number in range(LINES))

    async def follow() -> str:
        async with api.http.stream(
            "GET", f"/v1/jobs/{job['id']}/logs", params={"follow": True}, timeout=60
        ) as reply:
            return "".join([piece async for piece in reply.aiter_text()])

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        following = group.create_task(follow())
        for number in itertools.count():  # others are served all the while
            result = await api.result(await api.submit(small, number))
            assert result["result"] == number
            assert (await api.http.get(f"/v1/jobs/{job['id']}", timeout=10)).status_code == 200
            if following.done():
                break
    assert following.result() == text
    assert (await api.result(job))["result"] == "printed"
    assert await api.log(job) == text


async def test_a_program_that_publishes_without_a_pause_is_cut_at_its_limit_and_harms_nobody(
    runtime: World,
) -> None:
    api, limit = runtime.api, 30_000
    flooding = await api.submit(
        await api.upload(PUBLISHING, limits={"interim_count": limit}),
        {"count": 10_000_000, "burst": 1 << 40, "pause": 0},
    )
    calm = await api.submit(await api.upload(PUBLISHING), {"count": 100, "burst": 1, "pause": 0.02})
    seen, flood = Seen(), Seen()
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        group.create_task(by_async_sdk(runtime.whole.url, flooding["id"], flood))
        group.create_task(by_websocket(runtime.whole.url, calm["id"], seen))
    assert seen.values == list(range(100))
    assert flood.values == list(range(limit))
    result = await api.result(flooding)
    assert (result["status"], result["problem"]["code"]) == ("FAILED", "OutputLimitExceeded")
    await wait_until(lambda: _stored(api, flooding, limit), description="the history holds all that was kept")


async def _stored(api: Api, job: dict[str, Any], limit: int) -> bool:
    reply = await api.http.get(
        f"/v1/jobs/{job['id']}/outputs", params={"after": limit - 3, "kind": "interim", "limit": 10}
    )
    page = reply.json()
    return bool(page["complete"]) and [json.loads(each["data"]) for each in page["outputs"]] == [
        *range(limit - 3, limit)
    ]
