"""Hostile containers: contained, and nothing of them left on the host."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from qrt_contracts.values import Limits
from qrt_executor.adapters.containers.engine import Engine
from tests.docker.conftest import OPEN_PROGRAM
from tests.docker.daemon import Daemon
from tests.docker.leftovers import contained, mounts
from tests.docker.programs import SMALL, order, python, run, shell
from tests.integration.executor.rig import Rig, alive
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def clean_host(engine: Engine, daemon: Daemon) -> AsyncIterator[None]:
    """After each attack nothing is there that was not before: at the engine, in mounts, in processes."""

    async def found() -> list[object]:
        filters = json.dumps({"label": ["qrt.attempt"]})
        params = {"all": "true", "filters": filters}
        containers = await engine.ask("GET", "containers/json", params=params)
        volumes = await engine.ask("GET", "volumes", params={"filters": filters})
        networks = await engine.ask("GET", "networks", params={"filters": filters})
        unnamed = await engine.ask("GET", "images/json", params={"filters": '{"dangling": ["true"]}'})
        return [
            *(each["Id"] for each in (*containers, *networks, *unnamed)),
            *(each["Name"] for each in volumes.get("Volumes") or ()),
            *mounts(daemon.home),
            *contained(daemon.home),
        ]

    before = await found()
    yield

    async def clean() -> bool:
        return not [each for each in await found() if each not in before]

    await wait_until(clean, description="a clean host", seconds=20)


async def test_disk(executor: Rig) -> None:
    script = (
        "for d in $OUTPUT_DIRECTORY /tmp /data; do dd if=/dev/zero of=$d/fill bs=1M count=64 2>&1; done\n"
        "echo x > /fill; echo y > $INPUT_DIRECTORY/fill; exit 0\n"
    )
    limits = SMALL.model_copy(update={"file_bytes": 100 << 20})
    told = await run(executor, shell(script, more="VOLUME /data\n"), limits=limits)
    assert told.stream("stdout").count("No space left on device") == 3, told.log
    assert told.stream("stderr").count("Read-only file system") == 2


async def test_memory(executor: Rig, daemon: Daemon) -> None:
    told = await run(executor, python("a = [bytearray(1 << 20) for _ in range(1000)]"))
    # Podman does not tell what it was killed for, where control groups are of version 1.
    assert told.code in ("MemoryLimitExceeded", *(["KilledBySignal"] if daemon.kind == "podman" else []))
    assert told.end.usage is not None
    assert told.end.usage.memory_by == "cgroup"


async def test_processes_and_those_that_fork_away(executor: Rig) -> None:
    bomb = (
        "import os, time\nn = 0\ntry:\n"
        "    while True:\n"
        "        if os.fork() == 0:\n            os.setsid()\n            time.sleep(4321)\n"
        "        n += 1\n"
        "except OSError as exc:\n    print('forked', n, exc)\n"
    )
    told = await run(executor, python(bomb), limits=SMALL.model_copy(update={"processes": 20}))
    assert told.end.end == "succeeded", told.end
    assert "forked 1" in told.log
    assert "Resource temporarily unavailable" in told.log


async def test_sigterm_is_ignored_and_sigkill_is_not(executor: Rig) -> None:
    wanted = await order(
        executor, shell("trap '' TERM\n(trap '' TERM; sleep 8765) &\necho up\nwhile :; do sleep 8765; done")
    )
    told = await executor.send(wanted)
    await wait_until(lambda: "up" in told.log, description="it runs", seconds=20)
    assert alive("\0" + "8765")
    await executor.cancel(wanted)
    await executor.end_of(told, seconds=20)
    assert told.end.end == "cancelled"
    assert not alive("\0" + "8765"), "its end was reported when all of it was dead"


async def test_sigterm_is_heard_before_sigkill(executor: Rig) -> None:
    wanted = await order(
        executor, shell("trap 'echo goodbye; exit 0' TERM\necho up\nwhile :; do sleep 0.1; done")
    )
    told = await executor.send(wanted)
    await wait_until(lambda: "up" in told.log, description="it runs", seconds=20)
    await executor.cancel(wanted)
    await executor.end_of(told, seconds=20)
    assert told.end.end == "cancelled"
    assert "goodbye" in told.log


async def test_time_and_processor_limits(executor: Rig) -> None:
    wall, cpu = await asyncio.gather(
        run(executor, shell("sleep 60"), limits=SMALL.model_copy(update={"wall_seconds": 1.0})),
        run(executor, shell("while :; do :; done"), limits=SMALL.model_copy(update={"cpu_seconds": 1.0})),
    )
    assert wall.code == "TimeLimitExceeded"
    assert cpu.code == "CpuLimitExceeded"


async def test_links_devices_and_holes_in_the_output(executor: Rig) -> None:
    script = (
        "cd $OUTPUT_DIRECTORY; ln -s /etc/passwd link; mkfifo pipe; mknod null c 1 3 2>/dev/null\n"
        "echo fine > fine.txt; ln fine.txt second; mkdir -p a/b; echo deep > a/b/deep.txt; ln -s / a/root\n"
        "dd if=/dev/zero of=holes bs=1 count=1 seek=7000000 2>/dev/null\n"
        "n=0; while [ $n -lt 40 ]; do n=$((n+1))\n"
        "dd if=/dev/zero of=z$n bs=1 count=1 seek=7000000 2>/dev/null; done\n"
        "echo x > \"$(printf 'odd\\001name')\"; true\n"
    )
    told = await run(executor, shell(script))
    names = {file.name for file in told.end.files}
    assert {"a/b/deep.txt", "fine.txt"} <= names
    assert not names & {"link", "pipe", "null", "a/root"}
    reasons = {each.name: each.reason for each in told.end.skipped_files}
    assert "symbolic link" in reasons["link"]
    assert "neither a file" in reasons["pipe"]
    assert "more than one name" in reasons["second"]
    assert sum(file.size for file in told.end.files) <= SMALL.disk_bytes


async def test_printing_without_end(executor: Rig) -> None:
    limits = SMALL.model_copy(update={"log_bytes": 100_000, "wall_seconds": 3.0})
    told = await run(executor, shell("yes a-very-long-line-of-output"), limits=limits)
    assert told.code == "TimeLimitExceeded"
    assert len(told.stream("stdout")) <= 100_000
    assert "bytes of log dropped" in told.log
    flood = "yes 'PlanQK:Job:InterimResult: 1'"
    told = await run(executor, shell(flood), limits=SMALL.model_copy(update={"interim_count": 100}))
    assert told.code == "OutputLimitExceeded"
    endless = await run(
        executor,
        shell("printf 'PlanQK:Job:MultilineResult\\n'; yes"),
        limits=Limits(memory_bytes=128 << 20, result_bytes=10_000, wall_seconds=30),
    )
    assert endless.code == "ProtocolViolation"


async def test_the_network_and_the_host_are_out_of_reach(executor: Rig, daemon: Daemon) -> None:
    with socket.create_server((daemon.host, 0)) as listener:
        port = listener.getsockname()[1]
        source = (
            "import os, socket\n"
            "try:\n"
            f"    socket.create_connection(('{daemon.host}', {port}), timeout=3); print('REACHED')\n"
            "except OSError as exc:\n    print('cut off:', exc)\n"
            "print([l for l in open('/proc/self/status') if l.startswith(('CapEff', 'NoNewPrivs'))])\n"
            "for path in ('/var/run/docker.sock', '/etc/shadow', '/dev/vda', '/dev/sda', '/dev/mem'):\n"
            "    try: open(path, 'rb').read(1); print('OPENED', path)\n"
            "    except OSError: pass\n"
            "print('pids', sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))\n"
        )
        told = await run(executor, python(source))
        assert "cut off" in told.log
        assert "REACHED" not in told.log
        assert "OPENED" not in told.log
        assert "'CapEff:\\t0000000000000000\\n'" in told.log
        assert "'NoNewPrivs:\\t1\\n'" in told.log
        assert "pids [1]" in told.log
        allowed = await run(executor, python(source), program_id=OPEN_PROGRAM)
        assert "REACHED" in allowed.log, "the same host is there for a program that may have a network"
