"""Versions built ahead of their jobs: orders from the queue, the log as it grows, and how it ended."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from qrt_chassis.bus.port import Handlers, Subscription
from qrt_contracts.events import BuildProgress, BuildVersion, VersionBuilt, builds_queue
from qrt_contracts.ids import new_id
from qrt_contracts.message import Exchange
from qrt_contracts.values import EnvironmentSpec, Payload, ProgramKind, RunSpec, Signature
from tests.integration.executor.rig import Rig, alive, rig
from tests.support.projects import project
from tests.support.waiting import wait_until
from tests.support.wheels import PYDANTIC, compiled, installed, source, wheel

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.kipu]

USES = '''
    """Loaded."""
    import plain, fast

    print("imported")

    def run(number: int, label: str = "x") -> dict[str, int]:
        """Add things up.

        More of it.
        """
        return {"sum": plain.VALUE + fast.answer() + number}
'''


@dataclass
class Heard:
    """What the executor has said of builds."""

    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    built: dict[str, list[VersionBuilt]] = field(default_factory=dict)

    async def on_progress(self, event: BuildProgress) -> None:
        for number, line in enumerate(event.lines, start=event.first):
            self.lines.setdefault(event.program_id, {})[number] = line

    async def on_built(self, event: VersionBuilt) -> None:
        self.built.setdefault(event.program_id, []).append(event)

    def log(self, spec: RunSpec) -> str:
        return "\n".join(self.lines.get(spec.program_id, {}).values())

    async def end(self, spec: RunSpec, *, times: int = 1) -> VersionBuilt:
        told = self.built.setdefault(spec.program_id, [])
        await wait_until(lambda: len(told) >= times, description="the end of the build", seconds=60)
        numbers = sorted(self.lines.get(spec.program_id, {}))
        assert numbers == list(range(1, told[-1].last_line + 1)), "all lines before the end, without gaps"
        return told[-1]


@pytest.fixture(scope="module")
def packages(scratch: Path) -> Path:
    folder = scratch / "packages-of-versions"
    folder.mkdir(mode=0o755)
    installed(folder, *PYDANTIC)
    wheel(folder, "plain", {"plain.py": "VALUE = 1\n"})
    compiled(folder, "fast")
    source(folder, "broken", "raise RuntimeError('this setup is broken')")
    source(folder, "endless", "import time", "time.sleep(600)")
    return folder


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def builder(mongo_url: str, scratch: Path, packages: Path) -> AsyncIterator[tuple[Rig, Heard]]:
    """An executor, and what it says of builds."""
    heard = Heard()
    place = scratch / "environments-of-versions"
    async with rig(mongo_url, scratch, environments=place, wheels=packages, build_seconds=15) as executor:
        await listen(executor, heard)
        yield executor, heard


async def listen(executor: Rig, heard: Heard) -> None:
    topics = ("program.*.build", "program.*.built")
    bindings = tuple((Exchange.EVENTS, topic) for topic in topics)
    subscription = Subscription(queue=f"heard.{new_id()}", bindings=bindings, durable=False)
    handlers: Handlers = {BuildProgress: heard.on_progress, VersionBuilt: heard.on_built}
    await executor.bus.subscribe(subscription, handlers)


async def version(executor: Rig, program: str, *requirements: str) -> RunSpec:
    made = await executor.order(project(program), kind=ProgramKind.TEMPLATE)
    wanted = EnvironmentSpec(requirements=Payload(text=json.dumps(requirements))) if requirements else None
    return made.run.model_copy(update={"environment": wanted})


async def test_a_version_is_built_and_tells_its_lock_and_signature(builder: tuple[Rig, Heard]) -> None:
    executor, heard = builder
    spec = await version(executor, USES, "fast", "plain")
    await executor.bus.publish(BuildVersion(run=spec), mandatory=True)
    built = await heard.end(spec)
    assert built.problem is None
    assert built.lock is not None
    assert built.signature is not None
    lines = json.loads(built.lock.text or "")
    assert {"fast==1.0", "plain==1.0"} <= {line.partition(" ")[0] for line in lines}
    signature = Signature.model_validate_json(built.signature.text or "")
    assert signature.summary == "Add things up."
    assert signature.input["required"] == ["number"]
    assert "imported" in heard.log(spec)
    assert "The environment is ready" in heard.log(spec)
    assert built.started_at <= built.ended_at


async def test_what_was_built_is_warm_and_a_job_with_its_lock_starts_in_it(
    builder: tuple[Rig, Heard],
) -> None:
    executor, heard = builder
    spec = await version(executor, USES, "plain", "fast")
    await executor.bus.publish(BuildVersion(run=spec), mandatory=True)
    built = await heard.end(spec)
    await wait_until(lambda: executor.beat.warm_environments, description="a warm environment")
    order = await executor.order(project(USES), given='{"number": 1}', kind=ProgramKind.TEMPLATE)
    locked = EnvironmentSpec(requirements=spec.environment.requirements, lock=built.lock)  # type: ignore[union-attr]
    run = order.run.model_copy(update={"environment": locked})
    told = await executor.end_of(await executor.send(order.model_copy(update={"run": run})))
    assert json.loads(told.result) == {"sum": 44}
    assert not told.stream("system"), "nothing had to be made"


async def test_an_order_that_comes_again_tells_the_same(builder: tuple[Rig, Heard]) -> None:
    executor, heard = builder
    spec = await version(executor, USES, "plain", "fast")
    for times in (1, 2):
        await executor.bus.publish(BuildVersion(run=spec), mandatory=True)
        await heard.end(spec, times=times)
    first, second = heard.built[spec.program_id]
    assert (first.lock, first.signature, first.problem) == (second.lock, second.signature, second.problem)


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("nonesuch>=1", "there is no package nonesuch"),
        ("broken", "broken==1.0 cannot be built from its source"),
    ],
)
async def test_a_failed_build_names_the_requirement(
    builder: tuple[Rig, Heard], requirement: str, said: str
) -> None:
    executor, heard = builder
    spec = await version(executor, USES, "plain", requirement)
    await executor.bus.publish(BuildVersion(run=spec), mandatory=True)
    built = await heard.end(spec)
    assert built.problem is not None
    assert built.problem.code == "BuildFailed"
    assert said in built.problem.detail
    assert said in heard.log(spec)
    assert (built.lock, built.signature) == (None, None)


async def test_a_program_that_cannot_be_asked_is_built_all_the_same(builder: tuple[Rig, Heard]) -> None:
    executor, heard = builder
    spec = await version(executor, "import os\nKEY = os.environ['SECRET_KEY']\ndef run(): pass\n", "plain")
    await executor.bus.publish(BuildVersion(run=spec), mandatory=True)
    built = await heard.end(spec)
    assert built.problem is None
    assert built.lock is not None
    assert built.signature is None
    assert "KeyError" in heard.log(spec)


async def test_a_version_without_packages_of_its_own_tells_its_signature(builder: tuple[Rig, Heard]) -> None:
    executor, heard = builder
    spec = await version(executor, "def run(n: int) -> int: return n\n")
    await executor.bus.publish(BuildVersion(run=spec), mandatory=True)
    built = await heard.end(spec)
    assert (built.problem, built.lock) == (None, None)
    assert built.signature is not None


async def test_a_stopping_executor_gives_its_build_back_to_the_queue(
    mongo_url: str, scratch: Path, packages: Path
) -> None:
    place = scratch / "environments-of-a-leaver"
    heard = Heard()
    async with rig(mongo_url, scratch, environments=place, wheels=packages) as leaver:
        await listen(leaver, heard)
        spec = await version(leaver, USES, "endless")
        await leaver.bus.publish(BuildVersion(run=spec), mandatory=True)
        await wait_until(lambda: alive(f"{place}/private"), description="the build's process", seconds=20)
        bus = leaver.bus
        leaver.stop.set()
        await wait_until(lambda: leaver.beat.leaving, description="the last heartbeat", seconds=20)
        assert not alive(str(place))
        taken: list[BuildVersion] = []

        async def take(order: BuildVersion) -> None:
            taken.append(order)

        queue = builds_queue(ProgramKind.TEMPLATE)
        successor = await bus.subscribe(Subscription(queue=queue), {BuildVersion: take})
        await wait_until(lambda: taken, description="the order, for another executor")
        await successor.cancel()
    assert taken[0].run == spec
    assert not heard.built
