"""Attacks on level `landlock`, where there are no namespaces: what it holds, and what it does not.

What it does not hold is written down in docs/security.md, and asserted here so that it stays true.
"""

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from qrt_contracts.ids import new_id
from qrt_contracts.values import Isolation, Limits
from tests.attacks.conftest import ATTACKER_UID
from tests.attacks.programs import attack
from tests.integration.executor.rig import PROGRAM_PYTHON, Rig, alive, body, rig
from tests.support.engines import require
from tests.support.kernel import LANDLOCK_VERSION, landlock_version
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

MB = 1 << 20
SHORT = Limits(wall_seconds=20, memory_bytes=256 * MB, processes=20, file_bytes=64 * MB)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shared(mongo_url: str) -> AsyncIterator[Rig]:
    require(PROGRAM_PYTHON.exists(), what="the environment of programs")
    require(landlock_version() >= LANDLOCK_VERSION, what="Landlock version 6, of Linux 6.12")
    with tempfile.TemporaryDirectory(prefix="qrt-attacks-") as directory:
        os.chmod(directory, 0o755)
        async with rig(
            mongo_url,
            Path(directory),
            level=Isolation.LANDLOCK,
            name="locked",
            service_uid=ATTACKER_UID + 1,
        ) as locked:
            yield locked


@pytest_asyncio.fixture(loop_scope="session")
async def executor(shared: Rig) -> AsyncIterator[Rig]:
    """The executor, found healthy again after the attack."""
    yield shared
    both = await asyncio.gather(*(shared.run(body("return 1"), owner=owner) for owner in ("alice", "bob")))
    assert [told.end.end for told in both] == ["succeeded", "succeeded"]


async def found(executor: Rig, source: str, *, limits: Limits = SHORT, given: str = "null") -> Any:
    told = await executor.run(source, limits=limits, given=given)
    assert told.end.end == "succeeded", told.end
    return json.loads(told.result)


# ruff: noqa: E501
async def test_no_process_is_to_be_seen_looked_into_or_traced(executor: Rig) -> None:
    given = json.dumps([os.getpid(), os.getppid(), 1])
    source = attack(
        "places = [f'/proc/{pid}/{name}' for pid in params + [os.getppid(), os.getpid()] for name in ('environ', 'mem', 'maps', 'cmdline')]",
        "return [p for p in places if refused(readable, p) is None] + [refused(os.listdir, '/proc'), refused(syscall, 101, 16, os.getppid(), 0, 0)]",
    )
    assert await found(executor, source, given=given) == ["EACCES", "EPERM"]


async def test_signals_reach_nobody_else(executor: Rig) -> None:
    sibling, told = await executor.begin(body("import time", "time.sleep(1)", "return 'unharmed'"))
    assert sibling
    source = attack(
        "pids = [p for p in range(2, 70000) if p != os.getpid()]",
        "return [p for p in pids if refused(os.kill, p, 0) not in ('ESRCH', 'EPERM')]",
    )
    assert await found(executor, source) == []
    await executor.run(attack("os.kill(-1, signal.SIGKILL)", "return 1"), limits=SHORT)
    await executor.end_of(told)
    assert told.result == '"unharmed"'


async def test_no_session_and_no_group_is_to_be_had_and_daemons_die(executor: Rig) -> None:
    marker = f"qrt-locked-{new_id()}"
    source = attack(
        "tried = [refused(os.setsid), refused(os.setpgid, 0, 0)]",
        "for _ in range(5):",
        "    if os.fork() == 0:",
        "        if os.fork() == 0:",
        "            os.closerange(0, 64)",
        f"            os.execv('/bin/sleep', ['{marker}', '1000'])",
        "        os._exit(0)",
        "    os.wait()",
        "time.sleep(0.5)",
        "return tried",
    )
    _, told = await executor.begin(source, limits=SHORT)
    await wait_until(lambda: len(alive(marker)) == 5, description="the daemons live")
    await executor.end_of(told)
    assert alive(marker) == []
    assert json.loads(told.result) == ["EPERM", "EPERM"]


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/etc/shadow", "/root", "/home", "/run", "/sys", "/var", "/tmp", "/dev/shm", "/opt"],
)
async def test_the_hosts_files_are_not_to_be_read(executor: Rig, path: str) -> None:
    source = attack(
        f"return [refused(os.listdir, '{path}'), refused(readable, '{path}'), refused(open, '{path}/x', 'w')]"
    )
    assert None not in await found(executor, source)


async def test_the_executors_and_a_siblings_files_are_not_to_be_read_or_written(executor: Rig) -> None:
    (executor.settings.scratch / "secret").write_text("x")
    order, told = await executor.begin(
        attack("open('mine', 'w').write('x')", "print(os.getcwd(), flush=True)", "time.sleep(1000)"),
        limits=SHORT,
    )
    await wait_until(lambda: bool(told.log), description="the sibling runs")
    given = json.dumps([str(executor.settings.scratch), told.log.strip()])
    source = attack(
        "scratch, sibling = params",
        "return [refused(os.listdir, scratch), refused(readable, scratch + '/secret'), refused(readable, sibling + '/mine'),",
        "        refused(open, sibling + '/other', 'w'), refused(os.unlink, sibling + '/mine'), refused(os.rename, '.', sibling)]",
    )
    assert None not in await found(executor, source, given=given)
    await executor.cancel(order)
    await executor.end_of(told)


async def test_no_socket_leaves_the_attempt(executor: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = attack(
            "families = [1, 2, 10, 16, 17, 38, 40, 44]",
            "kinds = [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW]",
            "tried = [refused(lambda: socket.socket(f, k)) for f in families for k in kinds]",
            "a, b = socket.socketpair()",
            "return tried + [refused(socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM), refused(a.connect, '/run/x'),",
            "        refused(socket.create_connection, ('127.0.0.1', params), 1)]",
        )
        assert None not in await found(executor, source, given=str(server.getsockname()[1]))


@pytest.mark.parametrize("number", [165, 272, 308, 161, 321, 298, 323, 425, 250, 310, 438, 319])
async def test_system_calls_that_jails_refuse_are_refused_here(executor: Rig, number: int) -> None:
    assert await found(executor, attack(f"return refused(syscall, {number}, 0, 0, 0, 0, 0, 0)")) is not None


async def test_a_memory_bomb_ends_its_attempt(executor: Rig) -> None:
    bomb = attack("held = []", "while True: held.append(os.urandom(1 << 20) * 8)")
    assert (await executor.run(bomb, limits=SHORT)).code == "MemoryLimitExceeded"


async def test_a_program_that_does_not_end_is_ended(executor: Rig) -> None:
    source = attack("signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())", "while True: pass")
    told = await executor.run(source, limits=SHORT.model_copy(update={"wall_seconds": 0.5}))
    assert told.code == "TimeLimitExceeded"


async def test_links_in_the_output_directory_lead_nowhere(executor: Rig) -> None:
    source = attack(
        "out = os.environ['OUTPUT_DIRECTORY']",
        "os.symlink('/etc/shadow', out + '/link')",
        "moved = refused(os.rename, out, out + '-moved')",
        "hard = refused(os.link, '/usr/bin/env', out + '/hard')",
        "return [moved, hard]",
    )
    told = await executor.run(source, limits=SHORT)
    assert told.end.files == ()
    assert json.loads(told.result)[1] is not None


async def test_what_it_does_not_hold_a_quota_of_disk(executor: Rig) -> None:
    """A file has a limit, the directory has none: only a file system of its own would have one."""
    source = attack(
        "for n in range(3): open(f'f{n}', 'wb').write(bytes(8 << 20))", "return len(os.listdir('.'))"
    )
    assert await found(executor, source, limits=SHORT.model_copy(update={"disk_bytes": 16 * MB})) == 3
