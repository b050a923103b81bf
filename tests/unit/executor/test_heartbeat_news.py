"""What begins and ends is no news for a heartbeat; room for somebody who was turned away is.

And what an executor has room for while it reports.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from qrt_contracts.events import RunAttempt
from qrt_contracts.faults import RuntimeFault
from qrt_contracts.ids import new_id
from qrt_contracts.values import BackendInfo, Isolation, LimitOverrides, Payload, ProgramKind
from qrt_executor.service.executor import Executor, Identity, Policy
from qrt_executor.service.workshops import Workshops
from tests.support.waiting import wait_until
from tests.unit.scheduler.factories import run_spec


class _World:
    """A bus that takes everything, and bundles that come when they are let and are of no use."""

    def __init__(self) -> None:
        self.ends: list[Any] = []
        self.backends: tuple[BackendInfo, ...] = ()
        self.come = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()

    async def publish(self, message: Any, **_: object) -> None:
        if message.schema_name == "job.attempt_finished":
            self.ends.append(message)
            await self.takes.wait()

    async def source(self, _: object) -> bytes:
        await self.come.wait()
        raise RuntimeFault("there is no such bundle")

    def told(self) -> tuple[BackendInfo, ...]:
        return self.backends

    def circuits(self, *_: object, **__: object) -> Any:
        async def close() -> None:
            return

        return SimpleNamespace(answer=None, close=close)


def _executor(world: _World, *, slots: int) -> Executor:
    workshop = cast("Any", SimpleNamespace(tried=True, ready=True, isolation=Isolation.PROCESS))
    second = timedelta(seconds=1)
    return Executor(
        identity=Identity(name="e", incarnation="i"),
        policy=Policy(slots=slots, ceilings=LimitOverrides(), grace=second, drain=second),
        bus=cast("Any", world),
        workshops=Workshops({ProgramKind.QUAFU: workshop}),
        bundles=cast("Any", world),
        payloads=cast("Any", world),
        clock=lambda: datetime.now(UTC),
        backends=cast("Any", world),
    )


def _order() -> RunAttempt:
    run, given = run_spec(), Payload(text="{}")
    return RunAttempt(
        executor="e", incarnation="i", job_id=new_id(), attempt=1, owner="a", run=run, input=given
    )


async def test_what_begins_and_ends_does_not_hurry_the_next_heartbeat() -> None:
    world = _World()
    executor = _executor(world, slots=1)
    await executor.accept(_order())
    world.come.set()
    await wait_until(lambda: world.ends and not executor.heartbeat().running, description="its end")
    assert not executor.changed.is_set()
    await executor.close()


async def test_room_for_somebody_who_was_turned_away_is_told_at_once() -> None:
    world = _World()
    executor = _executor(world, slots=1)
    await executor.accept(_order())
    await executor.accept(_order())
    assert [each.end for each in world.ends] == ["refused"]
    assert not executor.changed.is_set(), "there is no room yet"
    world.come.set()
    await wait_until(executor.changed.is_set, description="the next heartbeat is due")
    assert [each.end for each in world.ends] == ["refused", "failed"]
    assert executor.heartbeat().running == ()
    await executor.close()


async def test_a_device_that_an_attempt_has_found_is_told_at_once() -> None:
    world = _World()
    executor = _executor(world, slots=1)
    await executor.accept(_order())
    world.backends = (BackendInfo(name="ScQ-P10", qubits=10),)
    world.come.set()
    await wait_until(executor.changed.is_set, description="the next heartbeat is due")
    assert executor.heartbeat().backends == world.backends
    await executor.close()


async def test_an_attempt_that_is_over_needs_no_slot_though_its_report_is_still_on_its_way() -> None:
    world = _World()
    executor = _executor(world, slots=1)
    world.takes.clear()
    first, second, third = _order(), _order(), _order()
    await executor.accept(first)
    world.come.set()
    await wait_until(lambda: world.ends, description="its end")
    world.come.clear()
    async with asyncio.timeout(20):
        await executor.accept(second)
    assert [each.job_id for each in executor.heartbeat().running] == [first.job_id, second.job_id]
    world.takes.set()
    await wait_until(lambda: len(executor.heartbeat().running) == 1, description="the report has gone")
    await executor.accept(third)
    assert [each.end for each in world.ends] == ["failed", "refused"], "there is one slot, and it is taken"
    world.come.set()
    await wait_until(lambda: not executor.heartbeat().running, description="the second's end")
    await executor.close()
