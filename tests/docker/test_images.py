"""Images: built once, found by content, fetched only where that is allowed, removed when old."""

import asyncio

import pytest

from tests.docker.bases import BUSYBOX
from tests.docker.programs import order, run, shell
from tests.integration.executor.rig import Rig
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
    assert "returned a non-zero code: 9" in told.detail
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


async def test_an_image_without_its_command_says_so(executor: Rig) -> None:
    told = await run(executor, {"Dockerfile": f'FROM {BUSYBOX}\nCMD ["/bin/nothing"]\n'})
    assert told.code == "ProgramExited"
    assert "could not be started" in told.detail
    assert "/bin/nothing" in told.detail
