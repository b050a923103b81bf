"""Orders to build: each ends with one report, or goes back to its queue."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.port import Subscription
from qrt_contracts.events import BuildProgress, BuildVersion, VersionBuilt
from qrt_contracts.faults import Unavailable
from qrt_contracts.message import Exchange
from qrt_contracts.values import Artifact, LimitOverrides, Limits, Payload, ProgramKind, RunSpec
from qrt_executor.ports import BuildFailed, Built, Order, Remark, SandboxUnavailable
from qrt_executor.service import builds
from qrt_executor.service.builds import Builds
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kipu

SPEC = RunSpec(
    program_id="p",
    program_name="program",
    version=3,
    kind=ProgramKind.TEMPLATE,
    bundle=Artifact(sha256="0" * 64, size=1),
    backend=None,
    limits=Limits(),
    max_attempts=3,
)


class Store:
    """Bundles and payloads of one program."""

    async def source(self, bundle: Artifact) -> bytes:
        del bundle
        return b"the source"

    async def wrap(self, text: str) -> Payload:
        return Payload(text=text)


class Builder:
    """A `VersionBuilder` that does what it is told to, one thing after the other."""

    def __init__(self) -> None:
        self.steps: Iterator[Built | Exception] = iter(())
        self.orders: list[Order] = []
        self.begun = asyncio.Event()

    async def build(self, order: Order, *, say: Remark) -> Built:
        self.orders.append(order)
        self.begun.set()
        say("a line")
        step = next(self.steps, None)
        if step is None:
            await asyncio.Event().wait()
        if isinstance(step, Exception):
            raise step
        assert step is not None
        return step


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    made = MemoryBus()
    yield made
    await made.close()


@pytest.fixture
async def told(bus: MemoryBus) -> list[Any]:
    """Return all that is said of builds, in order."""
    heard: list[Any] = []

    async def hear(event: Any) -> None:
        heard.append(event)

    bindings = ((Exchange.EVENTS, "program.*.build"), (Exchange.EVENTS, "program.*.built"))
    await bus.subscribe(
        Subscription(queue="told", bindings=bindings), {BuildProgress: hear, VersionBuilt: hear}
    )
    return heard


def of(bus: MemoryBus, builder: Builder, *steps: Built | Exception) -> Builds:
    builder.steps = iter(steps)
    store: Any = Store()
    now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, tzinfo=UTC)  # noqa: E731 - a clock
    return Builds(
        {ProgramKind.TEMPLATE: builder},
        bus=bus,
        bundles=store,
        payloads=store,
        ceilings=LimitOverrides(wall_seconds=7),
        clock=now,
    )


async def ended(told: list[Any]) -> VersionBuilt:
    await wait_until(lambda: told and isinstance(told[-1], VersionBuilt), description="the report")
    assert sum(isinstance(each, VersionBuilt) for each in told) == 1
    built: VersionBuilt = told[-1]
    lines = [line for each in told[:-1] for line in each.lines]
    assert built.last_line == len(lines)
    return built


async def test_what_was_built_is_told_after_its_log(bus: MemoryBus, told: list[Any]) -> None:
    builder = Builder()
    await of(bus, builder, Built(lock=("a==1",), signature="{}")).build(BuildVersion(run=SPEC))
    built = await ended(told)
    assert (built.program_id, built.version, built.problem) == ("p", 3, None)
    assert built.lock == Payload(text='["a==1"]')
    assert built.signature == Payload(text="{}")
    (order,) = builder.orders
    assert (order.source, order.limits.wall_seconds, dict(order.environ)) == (b"the source", 7, {})


@pytest.mark.parametrize(
    ("failure", "detail", "retryable"),
    [
        (BuildFailed("there is no package x"), "there is no package x", False),
        (BuildFailed("the package index did not answer", retryable=True), "did not answer", True),
        (KeyError("a bug of ours"), "the executor failed", True),
    ],
)
async def test_a_failure_is_a_problem_that_its_owner_can_read(
    bus: MemoryBus, told: list[Any], failure: Exception, detail: str, retryable: bool
) -> None:
    await of(bus, Builder(), failure).build(BuildVersion(run=SPEC))
    built = await ended(told)
    assert built.problem is not None
    assert (built.problem.code, built.problem.retryable) == ("BuildFailed", retryable)
    assert detail in built.problem.detail
    assert "a bug of ours" not in built.problem.detail


async def test_a_build_waits_for_the_first_sandbox(
    bus: MemoryBus, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds, "_ASK_AGAIN_SECONDS", 0.001)
    builder = Builder()
    not_yet = SandboxUnavailable("no zygote serves yet")
    await of(bus, builder, not_yet, not_yet, Built()).build(BuildVersion(run=SPEC))
    assert (await ended(told)).problem is None
    assert len(builder.orders) == 3


async def test_a_build_that_finds_no_sandbox_for_long_is_told_and_can_be_tried_again(
    bus: MemoryBus, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds, "_PATIENCE_SECONDS", -1.0)
    await of(bus, Builder(), SandboxUnavailable("bubblewrap is missing")).build(BuildVersion(run=SPEC))
    built = await ended(told)
    assert built.problem is not None
    assert built.problem.retryable
    assert "bubblewrap is missing" in built.problem.detail


async def test_a_stopping_executor_gives_builds_back_and_takes_no_more(
    bus: MemoryBus, told: list[Any]
) -> None:
    builder = Builder()
    service = of(bus, builder)
    running = asyncio.create_task(service.build(BuildVersion(run=SPEC)))
    await builder.begun.wait()
    await service.stop()
    with pytest.raises(Unavailable):
        await running
    with pytest.raises(Unavailable):
        await service.build(BuildVersion(run=SPEC))
    assert not any(isinstance(each, VersionBuilt) for each in told)
