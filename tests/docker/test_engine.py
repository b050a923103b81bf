"""An engine that comes and goes: what the executor says of it, and what becomes of what it ran."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qrt_chassis.tasks import Tasks
from qrt_contracts.values import ProgramKind
from qrt_executor.adapters.containers.engine import Engine
from tests.docker.daemon import Daemon
from tests.docker.programs import order, run, shell
from tests.integration.executor.rig import Rig, body, rig
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


@asynccontextmanager
async def door(path: Path, engine: Path) -> AsyncIterator[None]:
    """Let an engine be reached by another socket as well; at the end all connections break."""
    tasks, writers = Tasks("door"), list[asyncio.StreamWriter]()

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(str(engine))
        writers.extend((writer, back))
        tasks.start(_carry(reader, back), name="in")
        tasks.start(_carry(there, writer), name="out")

    server = await asyncio.start_unix_server(enter, str(path))
    try:
        yield
    finally:
        server.close()
        await asyncio.to_thread(path.unlink)
        for writer in writers:
            writer.transport.abort()
        await tasks.close()


async def _of(engine: Engine, executor: str) -> list[object]:
    """Return what the engine keeps of an executor, its images aside."""
    params = {"filters": json.dumps({"label": [f"qrt.executor={executor}"]})}
    containers = await engine.ask("GET", "containers/json", params={**params, "all": "true"})
    volumes = (await engine.ask("GET", "volumes", params=params)).get("Volumes") or ()
    return [*containers, *volumes, *await engine.ask("GET", "networks", params=params)]


async def test_executors_at_one_engine_leave_each_other_alone_and_nothing_when_they_stop(
    executor: Rig, mongo_url: str, scratch: Path, daemon: Daemon, engine: Engine
) -> None:
    wanted = await order(executor, shell("echo up; sleep 600"))
    told = await executor.send(wanted)
    await wait_until(lambda: "up" in told.log, description="it runs", seconds=30)
    async with rig(mongo_url, scratch, engine=daemon.url, name="other", slots=2) as other:
        assert (await run(other, shell("echo beside"))).log.endswith("beside\n")
        left = await other.send(await order(other, shell("echo up; sleep 600")))
        await wait_until(lambda: "up" in left.log, description="another runs", seconds=30)
    assert left.end.end == "refused", "it is given back to the queue"
    assert await _of(engine, "other") == []
    assert len(await _of(engine, "rig")) == 4, "two containers and two volumes"
    assert told.finished is None
    await executor.cancel(wanted)
    assert (await executor.end_of(told)).end.end == "cancelled"


async def test_an_engine_that_goes_is_not_told_of_and_what_it_ran_is_given_back(
    mongo_url: str, scratch: Path, daemon: Daemon, engine: Engine
) -> None:
    path = scratch / "door.sock"
    async with rig(mongo_url, scratch, engine=f"unix://{path}", name="door", slots=2) as executor:

        def told_of() -> bool:
            return ProgramKind.CONTAINER in executor.beat.kinds

        assert not told_of()
        assert executor.beat.slots == 2, "other programs run"
        async with door(path, daemon.socket):
            await wait_until(told_of, description="the engine is found", seconds=30)
            told = await executor.send(await order(executor, shell("echo up; sleep 600")))
            await wait_until(lambda: "up" in told.log, description="it runs", seconds=30)
        await wait_until(lambda: not told_of(), description="the engine is missed", seconds=30)
        await executor.end_of(told, seconds=30)
        assert told.end.end == "refused", "another executor may have it"
        assert (await executor.run(body("return 1"))).result == "1"
        refused = await run(executor, shell("true"))
        assert refused.end.end == "refused"
        async with door(path, daemon.socket):
            await wait_until(told_of, description="the engine is found again", seconds=30)
            assert await _of(engine, "door") == []
            assert (await run(executor, shell("echo again"))).log.endswith("again\n")

            async def clean() -> bool:
                return not await _of(engine, "door")

            await wait_until(clean, description="nothing left of it", seconds=30)
