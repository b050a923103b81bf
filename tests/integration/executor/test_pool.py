"""Zygotes that wear out, levels that do not work, and what is left when an executor is killed."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from qrt_contracts.faults import Unavailable
from qrt_contracts.values import Isolation, Limits, ProgramKind, Signature
from qrt_executor.adapters import processes
from qrt_executor.adapters.environment import ProgramEnvironment, probe
from qrt_executor.adapters.jail import Jail
from qrt_executor.adapters.pool import NoIsolation, Station, ZygotePool
from qrt_executor.ports import InterimKind, Order, Sandbox, Stream
from tests.integration.executor.rig import PROGRAM_PYTHON, Rig, alive, body, zygotes
from tests.support.projects import project
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Nowhere:
    """A sink that takes everything and keeps nothing."""

    def log(self, stream: Stream, data: bytes) -> None:
        pass

    def interim(self, kind: InterimKind, data: bytes) -> None:
        pass

    def violation(self, detail: str) -> None:
        raise AssertionError(detail)

    async def room(self) -> None:
        pass

    async def call(self, question: bytes) -> bytes:
        raise AssertionError(question)


@pytest.fixture(scope="module")
def environment() -> ProgramEnvironment:
    return probe(PROGRAM_PYTHON)


@asynccontextmanager
async def running(
    environment: ProgramEnvironment, scratch: Path, *levels: Isolation, worn_after: int = 1000
) -> AsyncIterator[tuple[ZygotePool, "asyncio.Task[None]"]]:
    root = os.geteuid() == 0
    station = Station(
        environment=environment,
        levels=levels,
        scratch=scratch,
        user=(61000, 61000) if root else (os.geteuid(), os.getegid()),
        give_away=root,
        cgroups=None,
        disk_bytes=Limits().disk_bytes,
    )
    pool = ZygotePool(station, depth=2, worn_after=worn_after)
    task = asyncio.create_task(pool.run())
    try:
        yield pool, task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, NoIsolation):
            await task


def order(source: str) -> Order:
    return Order(source=source.encode(), input="null", backend=None, limits=Limits())


async def result_of(sandbox: Sandbox, source: str) -> bytes | None:
    await sandbox.start(order(source))
    claims = await sandbox.converse(Nowhere())
    await sandbox.ended()
    await sandbox.close()
    return claims.result


async def test_an_order_brings_variables_that_its_program_alone_sees(
    environment: ProgramEnvironment, scratch: Path, level: Isolation
) -> None:
    async with running(environment, scratch, level) as (pool, _):
        first, second = await pool.take(Limits()), await pool.take(Limits())
        seen = body(
            "import os", "return [os.environ.get('SECRET_KEY'), os.listdir(os.environ['INPUT_DIRECTORY'])]"
        )
        await first.start(replace(order(seen), environ={"SECRET_KEY": "s3cret"}))
        assert (await first.converse(Nowhere())).result == b'["s3cret", []]'
        await first.close()
        assert await result_of(second, seen) == b"[null, []]"


async def test_a_template_program_is_described_in_a_sandbox(
    environment: ProgramEnvironment, scratch: Path, level: Isolation
) -> None:
    program = 'def run(data: list[int], flag: bool = False) -> dict:\n    """Add up."""\n'
    wanted = replace(order(""), source=project(program), kind=ProgramKind.TEMPLATE, mode="describe")
    async with running(environment, scratch, level) as (pool, _):
        sandbox = await pool.take(Limits())
        await sandbox.start(wanted)
        told = await sandbox.converse(Nowhere())
        await sandbox.close()
    assert told.result is not None, told.error
    signature = Signature.model_validate_json(told.result)
    assert signature.input["required"] == ["data"]
    assert signature.input["properties"]["flag"] == {"type": "boolean", "default": False}
    assert signature.summary == "Add up."


async def test_a_worn_zygote_is_replaced_and_its_running_attempt_is_not_disturbed(
    environment: ProgramEnvironment, scratch: Path, level: Isolation
) -> None:
    async with running(environment, scratch, level, worn_after=4) as (pool, _):
        long = await pool.take(Limits())
        await long.start(order(body("import time", "time.sleep(3)", "return 'kept'")))
        talk = asyncio.create_task(long.converse(Nowhere()))
        parents = set()
        for _ in range(8):
            sandbox = await pool.take(Limits())
            assert isinstance(sandbox, Jail)
            parents.add(sandbox.zygote)
            assert await result_of(sandbox, body("return 1")) == b"1"
        assert len(parents) >= 2
        assert (await talk).result == b'"kept"'
        await long.close()


async def test_a_pool_that_is_told_twice_to_end_leaves_nothing_open(
    environment: ProgramEnvironment, scratch: Path, level: Isolation
) -> None:
    async with running(environment, scratch, level) as (pool, task):
        await wait_until(lambda: pool._parked.full(), description="all are parked", seconds=60)
        parked: list[Jail] = list(pool._parked._queue)  # type: ignore[attr-defined]
        task.cancel()
        while not any(jail.closed for jail in parked):  # noqa: ASYNC110 - the very moment it begins
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert [jail.closed for jail in parked] == [True] * len(parked)
        assert [jail._events.fileno() for jail in parked] == [-1] * len(parked)


async def test_a_jail_whose_keeper_is_killed_from_outside_is_lost_and_its_program_is_not_blamed(
    environment: ProgramEnvironment, scratch: Path
) -> None:
    async with running(environment, scratch, Isolation.JAIL) as (pool, _):
        sandbox = await pool.take(Limits())
        await sandbox.start(order(body("import time", "print('runs', flush=True)", "time.sleep(1000)")))
        talk = asyncio.create_task(sandbox.converse(Nowhere()))
        assert isinstance(sandbox, Jail)
        os.kill(processes.pid_of(sandbox._pidfd), signal.SIGKILL)
        assert await sandbox.ended() is None
        assert (await talk).result is None
        await sandbox.close()
        assert await result_of(await pool.take(Limits()), body("return 1")) == b"1"


async def test_a_host_that_cannot_do_what_is_required_refuses_work_and_says_why(
    environment: ProgramEnvironment, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qrt_executor.adapters.bubblewrap.find_bubblewrap", lambda: None)
    async with running(environment, scratch, Isolation.JAIL) as (pool, task):
        with pytest.raises(NoIsolation, match="bubblewrap"):
            await task
        assert not pool.ready
        with pytest.raises(Unavailable, match="bubblewrap"):
            await pool.ping()


async def test_what_does_not_work_is_stepped_down_from_only_if_that_is_allowed(
    environment: ProgramEnvironment, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qrt_executor.adapters.bubblewrap.find_bubblewrap", lambda: None)
    async with running(environment, scratch, Isolation.JAIL, Isolation.PROCESS) as (pool, _):
        sandbox = await pool.take(Limits())
        assert pool.isolation is Isolation.PROCESS
        await sandbox.close()


async def test_a_zygote_has_one_thread_and_cannot_be_looked_into(
    environment: ProgramEnvironment, scratch: Path
) -> None:
    async with running(environment, scratch, Isolation.PROCESS) as (pool, _):
        await (await pool.take(Limits())).close()
        found = zygotes(os.getpid(), newest=True)[0]
        assert len(os.listdir(f"/proc/{found}/task")) == 1
        assert os.stat(f"/proc/{found}/environ").st_uid == 0, "non-dumpable"


HOST = """
import asyncio, sys
from pathlib import Path
from tests.integration.executor import test_pool as t
from qrt_contracts.values import Isolation, Limits, ProgramKind, Signature
async def main():
    async with t.running(t.probe(t.PROGRAM_PYTHON), Path(sys.argv[1]), Isolation(sys.argv[2])) as (pool, _):
        sandbox = await pool.take(Limits())
        await sandbox.start(t.order(sys.stdin.read()))
        print("started", flush=True)
        await asyncio.sleep(1000)
asyncio.run(main())
"""


async def test_a_killed_executor_leaves_no_process_of_its_attempts(scratch: Path, level: Isolation) -> None:
    marker = f"qrt-orphan-{os.getpid()}-{level.value}"
    source = body(
        "import os",
        "if os.fork() == 0:",
        "    try: os.setsid()",
        "    except PermissionError: pass  # at level landlock",
        f"    os.execv('/bin/sleep', ['{marker}', '1000'])",
        f"os.execv('/bin/sleep', ['{marker}', '1000'])",
    )
    host = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOST, str(scratch), level.value),
        cwd=Path(__file__).parents[3],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert host.stdin is not None
    host.stdin.write(source.encode())
    host.stdin.close()
    try:
        await wait_until(lambda: len(alive(marker)) == 2, description="the attempt runs", seconds=30)
        host.send_signal(signal.SIGKILL)
        await wait_until(lambda: alive(marker) == [], description="nothing is left")
    finally:
        with suppress(ProcessLookupError):
            host.kill()
        await host.wait()
    async with running(probe(PROGRAM_PYTHON), scratch, level) as (pool, _):
        await (await pool.take(Limits())).close()
        left = [name for name in os.listdir(scratch) if f"-{host.pid}-" in name]
    assert left == [], "the next executor tidies up"


async def test_a_program_with_a_disk_size_of_its_own_gets_it(executor: Rig, level: Isolation) -> None:
    if level is not Isolation.JAIL:
        pytest.skip("without a private file system there is no size")
    source = body("import os", "return os.statvfs('/job').f_blocks * os.statvfs('/job').f_frsize")
    told = await executor.run(source, limits=Limits(disk_bytes=8 << 20))
    assert told.result == str(8 << 20)


async def test_a_zygote_whose_closing_is_cut_short_leaves_no_zombie(
    environment: ProgramEnvironment, scratch: Path
) -> None:
    async with running(environment, scratch, Isolation.PROCESS) as (pool, _):
        await (await pool.take(Limits())).close()
        zygote = pool._zygote
        assert zygote is not None
        closing = asyncio.ensure_future(zygote.close())
        await asyncio.sleep(0)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        assert zygote._process.returncode == -signal.SIGKILL


async def test_a_slow_host_does_not_make_the_canary_miss_its_daemon(
    environment: ProgramEnvironment, scratch: Path, level: Isolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = processes.descendants

    def slowly(pid: int) -> list[int]:
        time.sleep(0.3)  # this executor gets no processor, while the canary has one of its own
        return look(pid)

    monkeypatch.setattr(processes, "descendants", slowly)
    async with running(environment, scratch, level) as (pool, _):
        await (await pool.take(Limits())).close()
        assert pool.isolation is level
