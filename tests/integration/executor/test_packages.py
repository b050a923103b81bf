"""Programs with packages of their own: built when they are needed, warm when they are needed again."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from qrt_contracts.events import RunAttempt
from qrt_contracts.values import EnvironmentSpec, Isolation, Payload, ProgramKind
from tests.integration.executor.rig import Rig, Told, alive, rig
from tests.support.projects import project
from tests.support.waiting import wait_until
from tests.support.wheels import PYDANTIC, compiled, installed, source, wheel

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.kipu]

USES = """
    import plain, fast

    def run(number: int = 1) -> dict:
        return {"sum": plain.VALUE + fast.answer() + number}
"""


@pytest.fixture(scope="session")
def packages(scratch: Path) -> Path:
    """A folder with what these programs need."""
    folder = scratch / "packages"
    folder.mkdir(mode=0o755)
    installed(folder, *PYDANTIC)
    wheel(
        folder, "plain", {"plain.py": "VALUE = 1\n", "plain.pth": "import os; os.environ['PTH'] = 'read'\n"}
    )
    compiled(folder, "fast")
    source(folder, "endless", "import time", "time.sleep(600)")
    for number in range(3):
        wheel(folder, f"p{number}", {f"p{number}.py": ""})
    return folder


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def own(mongo_url: str, scratch: Path, level: Isolation, packages: Path) -> AsyncIterator[Rig]:
    """An executor whose programs may have packages of their own."""
    place = scratch / f"own-{level.value}"
    async with rig(
        mongo_url, scratch, level=level, environments=place, wheels=packages, warm_environments=2
    ) as shared:
        yield shared


async def order(executor: Rig, program: str, *requirements: str, given: str = "{}") -> RunAttempt:
    made = await executor.order(project(program), given=given, kind=ProgramKind.TEMPLATE)
    environment = EnvironmentSpec(requirements=Payload(text=json.dumps(requirements)))
    return made.model_copy(update={"run": made.run.model_copy(update={"environment": environment})})


async def run(executor: Rig, program: str, *requirements: str, given: str = "{}") -> Told:
    told = await executor.send(await order(executor, program, *requirements, given=given))
    return await executor.end_of(told, seconds=60)


async def test_a_program_has_the_packages_that_it_asks_for(own: Rig) -> None:
    first = await run(own, USES, "plain", "fast", given='{"number": 5}')
    assert first.end.end == "succeeded", first.end
    assert json.loads(first.result) == {"sum": 48}
    assert "build: The environment is ready" in first.stream("system")
    await wait_until(lambda: len(own.beat.warm_environments) == 1, description="a warm environment")
    second = await run(own, USES, "plain", "fast")
    assert json.loads(second.result) == {"sum": 44}
    assert not second.stream("system")


async def test_it_has_none_that_it_does_not_ask_for_and_what_it_starts_has_them_too(own: Rig) -> None:
    told = await run(
        own,
        """
        import importlib.util, os, subprocess, sys

        def run() -> list:
            code = "import plain, pydantic, sys; print(plain.VALUE)"
            child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            numpy = importlib.util.find_spec("numpy")
            return [numpy is None, os.environ.get("PTH"), child.stdout, child.stderr]
        """,
        "plain",
        "fast",
    )
    assert json.loads(told.result) == [True, "read", "1\n", ""], told.end


async def test_a_requirement_that_does_not_exist_fails_the_job_and_is_named(own: Rig) -> None:
    told = await run(own, USES, "nonesuch")
    assert (told.end.end, told.code) == ("failed", "BuildFailed")
    assert told.detail.startswith("there is no package nonesuch")


async def test_a_job_is_cancelled_while_its_environment_is_built(own: Rig, level: Isolation) -> None:
    if level is not Isolation.JAIL:
        pytest.skip("sources are built at level jail alone")
    wanted = await order(own, USES, "endless")
    told = await own.send(wanted)
    building = f"{own.settings.environments}/private"
    await wait_until(lambda: alive(building), description="the build", seconds=30)
    await own.cancel(wanted)
    await own.end_of(told)
    assert told.end.end == "cancelled"
    await wait_until(lambda: not alive(building), description="the end of the build")


async def warmed(own: Rig, unlike: set[str]) -> tuple[str, ...]:
    """Return the two warm environments, least recently used first, once the last one is a new one."""

    def newest() -> bool:
        warm = own.beat.warm_environments
        return len(warm) <= 2 and bool(warm) and warm[-1] not in unlike

    await wait_until(newest, description=f"an environment is warm that is none of {unlike}")
    return own.beat.warm_environments


async def test_the_least_recently_used_environment_is_warm_no_longer(own: Rig) -> None:
    empty = "def run():\n    return 1\n"
    seen = set(own.beat.warm_environments)
    before: tuple[str, ...] = ()
    for number in range(3):
        told = await run(own, empty, f"p{number}")
        assert told.end.end == "succeeded", told.end
        before = await warmed(own, seen)
        seen |= set(before)
    assert (await run(own, empty, "p0")).end.end == "succeeded"
    after = await warmed(own, set(before))
    assert before[1] in after
    assert before[0] not in after


async def test_jobs_of_more_environments_than_may_be_warm_run_at_once(own: Rig) -> None:
    program = "def run():\n    return 1\n"
    ends = await asyncio.gather(*(run(own, program, f"p{number}", "plain") for number in range(2)))
    assert [each.end.end for each in ends] == ["succeeded", "succeeded"]


async def test_a_zygote_that_was_killed_has_a_successor(own: Rig) -> None:
    assert (await run(own, USES, "plain", "fast")).end.end == "succeeded"
    for pid in alive(f"{own.settings.environments}/ready"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert (await run(own, USES, "plain", "fast")).end.end in ("succeeded", "refused")
    await wait_until(lambda: own.beat.warm_environments, description="a warm environment")
    assert (await run(own, USES, "plain", "fast")).end.end == "succeeded"
