"""Images: built once, found by content, fetched only where that is allowed, removed when old."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from qrt_chassis.bus.port import Subscription
from qrt_contracts.events import BuildProgress, BuildVersion, RunAttempt, VersionBuilt
from qrt_contracts.ids import new_id
from qrt_contracts.message import Exchange
from qrt_executor.adapters.containers.builds import BuildRules, Builds
from qrt_executor.adapters.containers.engine import Engine
from qrt_executor.adapters.containers.images import Images
from qrt_executor.ports import BuildFailed
from tests.docker.bases import BUSYBOX, PYTHON
from tests.docker.daemon import Daemon
from tests.docker.programs import order, run, shell, zipped
from tests.docker.registry import registry
from tests.integration.executor.rig import Rig
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")
_EXIT_CODE = "(returned a non-zero code: |exit status )"
"""What Docker says of a step that has failed, and what Podman says."""


async def test_a_build_is_told_line_by_line_and_made_once_for_all_who_ask(executor: Rig) -> None:
    program = shell("echo ran", more="RUN echo built at $((40 + 2))\n")
    first, second = await asyncio.gather(run(executor, program), run(executor, program))
    assert "built at 42" in first.stream("system")
    assert "built at 42" in second.stream("system")
    third = await run(executor, program)
    assert third.log == "ran\n", "the image is there already"


async def test_a_failed_build_ends_the_job_with_the_end_of_its_log(executor: Rig) -> None:
    told = await run(executor, shell("true", more="RUN echo nearly && exit 9\n"))
    assert told.code == "BuildFailed"
    assert "nearly" in told.detail
    assert re.search(_EXIT_CODE + "9", told.detail)
    assert "QRT_EXECUTOR_BUILD_NETWORK" in told.detail
    none = await run(executor, {"run.sh": "true"})
    assert (none.code, none.detail) == ("BuildFailed", "the program's archive has no Dockerfile at its root")


async def test_a_cancelled_build_ends_at_once(executor: Rig) -> None:
    wanted = await order(executor, shell("true", more="RUN echo begun && sleep 60\n"))
    told = await executor.send(wanted)
    await wait_until(lambda: "begun" in told.log, description="the build has begun", seconds=20)
    await executor.cancel(wanted)
    assert (await executor.end_of(told, seconds=15)).end.end == "cancelled"


async def test_a_program_may_name_an_image_that_is_there_and_no_other(executor: Rig) -> None:
    there = await run(executor, image=BUSYBOX)
    assert there.code == "BuildFailed", "it has no command"
    absent = await run(executor, image="127.0.0.1:1/team/image:1")
    assert absent.code == "BuildFailed"
    assert "the image 127.0.0.1:1/team/image:1 cannot be fetched: " in absent.detail
    for hostile in ("qrt-program:" + "0" * 64, "../../containers/create", "a b", "--help"):
        assert (await run(executor, image=hostile)).code == "BuildFailed"


async def _built(executor: Rig, wanted: RunAttempt) -> tuple[VersionBuilt, list[str]]:
    """Have a version built, as the registry does; return its end and its log."""
    lines, ends = list[str](), list[VersionBuilt]()

    async def on_progress(event: BuildProgress) -> None:
        assert event.first == len(lines) + 1
        lines.extend(event.lines)

    async def on_end(event: VersionBuilt) -> None:
        ends.append(event)

    program = wanted.run.program_id
    topics = (f"program.{program}.build", f"program.{program}.built")
    heard = Subscription(
        queue=f"builds.{program}",
        bindings=tuple((Exchange.EVENTS, topic) for topic in topics),
        durable=False,
    )
    listening = await executor.bus.subscribe(heard, {BuildProgress: on_progress, VersionBuilt: on_end})
    try:
        await executor.bus.publish(BuildVersion(run=wanted.run), mandatory=True)
        await wait_until(lambda: ends, description="the build's end", seconds=60)
    finally:
        await listening.cancel()
    assert ends[0].last_line == len(lines)
    return ends[0], lines


async def test_a_version_is_built_ahead_of_its_jobs(executor: Rig, engine: Engine) -> None:
    program = shell("echo ran", more="RUN echo ahead of $((6 * 7)) jobs\n")
    wanted = await order(executor, program)
    end, lines = await _built(executor, wanted)
    assert end.problem is None
    assert "ahead of 42 jobs" in lines
    found = await engine.ask("GET", f"images/qrt-program:{wanted.run.bundle.sha256}/json")
    assert end.image == found["Id"]
    assert (await run(executor, program)).log == "ran\n"
    again, _ = await _built(executor, wanted)
    assert again.image == end.image
    failed, lines = await _built(executor, await order(executor, shell("true", more="RUN exit 3\n")))
    assert failed.problem is not None
    assert (failed.problem.code, failed.problem.retryable) == ("BuildFailed", False)
    assert re.search(_EXIT_CODE + "3", lines[-1])


async def test_a_named_image_is_fetched_and_runs_by_its_digest_from_then_on(
    executor: Rig, bases: Mapping[str, Path]
) -> None:
    async with registry() as served:
        digest = served.publish(bases[BUSYBOX].read_bytes(), ["/bin/sh", "-c", "echo first"])
        end, lines = await _built(executor, await order(executor, image=served.name))
        pinned = f"{served.address}/team/image@{digest}"
        assert (end.image, end.problem) == (pinned, None), lines
        served.publish(bases[BUSYBOX].read_bytes(), ["/bin/sh", "-c", "echo second"])
        told = await run(executor, image=pinned)
        assert told.stream("stdout") == "first\n", told.end
        missing = await run(executor, image=f"{served.address}/team/image:2")
        assert missing.code == "BuildFailed"
        assert "cannot be fetched" in missing.detail


async def test_images_unused_for_longest_are_removed_and_the_operators_own_are_not(
    executor: Rig, engine: Engine, scratch: Path, bases: Mapping[str, Path]
) -> None:
    rules = BuildRules(
        pull=True, network=False, seconds=60, memory_bytes=1 << 30, cpus=1, image_bytes=1 << 30
    )
    images = Images(engine, rules, scratch=scratch, cache_bytes=0)
    lines: list[str] = []
    kept = await images.built(zipped(shell("echo kept")), "e" * 64, remark=lines.append)
    old = await images.built(zipped(shell("echo old")), "f" * 64, remark=lines.append)
    async with registry() as served:
        served.publish(bases[BUSYBOX].read_bytes(), ["/bin/true"])
        fetched = await images.pulled(served.name, remark=lines.append)
    with images.use(kept):
        await images.sweep()
    left = {each["Id"] for each in await engine.ask("GET", "images/json")}
    tags = {
        tag.removeprefix("docker.io/")
        for each in await engine.ask("GET", "images/json")
        for tag in each["RepoTags"] or ()
    }
    assert kept.id in left
    assert not {old.id, fetched.id} & left
    assert {BUSYBOX, PYTHON} <= tags
    await images.sweep()
    await images.close()
    assert kept.id not in {each["Id"] for each in await engine.ask("GET", "images/json")}


async def test_a_build_is_kept_within_its_limits(
    executor: Rig, engine: Engine, daemon: Daemon, scratch: Path
) -> None:
    rules = BuildRules(
        pull=True, network=False, seconds=8, memory_bytes=128 << 20, cpus=1, image_bytes=32 << 20
    )
    builds = Builds(engine, rules, scratch=scratch, labels={"qrt.role": "program-image"})
    before = {each["Id"] for each in await engine.ask("GET", "images/json", params={"all": "true"})}

    async def reason(step: str) -> str:
        bundle = zipped(shell("true", more=f"RUN {step}\n"))
        with pytest.raises(BuildFailed) as caught:
            await builds.build(bundle, f"qrt-program:{new_id()}", remark=lambda _: None)
        return str(caught.value)

    network = await reason("echo interfaces: $(ls /sys/class/net); exit 1")
    assert re.search(r"^interfaces: lo$", network, re.MULTILINE), network
    disk = await reason("dd if=/dev/zero of=/fill bs=1M count=4000; sleep 60")
    # Podman does not show its builds' steps: there only the image's size is limited, and the time.
    assert ("wrote more than 33554432 bytes" if daemon.kind == "docker" else "more than 8 seconds") in disk
    assert "more than 8 seconds" in await reason("sleep 60")
    await builds.close()
    after = {each["Id"] for each in await engine.ask("GET", "images/json", params={"all": "true"})}
    assert after == before, "nothing of a failed build is left"
    assert not [
        each
        for each in await engine.ask("GET", "containers/json", params={"all": "true"})
        if each["Command"].startswith("/bin/sh -c")
    ]


async def test_an_image_without_its_command_says_so(executor: Rig, daemon: Daemon) -> None:
    told = await run(executor, {"Dockerfile": f'FROM {BUSYBOX}\nCMD ["/bin/nothing"]\n'})
    code, words = ("ProgramExited", "could not be started")
    if daemon.kind == "podman":  # it makes containers ready before it starts them
        code, words = ("BuildFailed", "refuses such a container")
    assert told.code == code, told.end.problem
    assert words in told.detail
    assert "/bin/nothing" in told.detail
