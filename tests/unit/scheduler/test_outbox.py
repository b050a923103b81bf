"""Outboxes are emptied some seconds after their events were published, if no later change replaced them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from qrt_chassis.bus.port import Bus
from qrt_contracts.events import CancelRequested
from qrt_scheduler.ports import JobStore, Outgoing
from qrt_scheduler.service import outbox as module
from qrt_scheduler.service.outbox import Outbox, outgoing
from tests.support.waiting import wait_until


class _Bus:
    def __init__(self) -> None:
        self.published: list[CancelRequested] = []

    async def publish(self, event: CancelRequested) -> None:
        self.published.append(event)


class _Jobs:
    def __init__(self) -> None:
        self.emptied: list[list[str]] = []

    async def sent(self, items: Sequence[Outgoing]) -> None:
        self.emptied.append([each.job_id for each in items])


def _news(job_id: str) -> Outgoing:
    return outgoing(job_id, CancelRequested(job_id=job_id))


async def _after_publishing(*job_ids: str) -> tuple[Outbox, _Jobs, Any]:
    bus, jobs = _Bus(), _Jobs()
    outbox = Outbox(bus=cast("Bus", bus), jobs=cast("JobStore", jobs), clock=lambda: datetime.now(UTC))
    running = asyncio.ensure_future(outbox.run())
    for each in job_ids:
        await outbox.send(_news(each))
    await wait_until(lambda: len(bus.published) == len(job_ids), description="all is published")
    return outbox, jobs, running


async def _end(running: "asyncio.Future[None]") -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_outboxes_are_emptied_in_small_batches_and_once() -> None:
    names = [f"job {number}" for number in range(module.CLEAR_BATCH + 1)]
    outbox, jobs, running = await _after_publishing(*names)
    await outbox.clear_now()
    assert [len(each) for each in jobs.emptied] == [module.CLEAR_BATCH, 1]
    assert sorted(each for batch in jobs.emptied for each in batch) == sorted(names)
    await outbox.clear_now()
    assert len(jobs.emptied) == 2
    await _end(running)


async def test_an_outbox_that_a_later_change_has_replaced_is_left_to_it() -> None:
    outbox, jobs, running = await _after_publishing("a", "b")
    await _end(running)
    await outbox.send(_news("a"))
    await outbox.clear_now()
    assert jobs.emptied == [["b"]]


async def test_an_outbox_is_left_alone_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLEAR_EVERY_SECONDS", 0.0)
    outbox, jobs, running = await _after_publishing("a")
    clearing = asyncio.ensure_future(outbox.clear())
    for _ in range(10):
        await asyncio.sleep(0)
    assert jobs.emptied == []
    monkeypatch.setattr(module, "CLEAR_AFTER_SECONDS", 0.0)
    await wait_until(lambda: jobs.emptied == [["a"]], description="it is emptied")
    await _end(clearing)
    await _end(running)


def test_outboxes_are_empty_before_they_are_taken_for_left_behind() -> None:
    longest = module.CLEAR_AFTER_SECONDS + 2 * module.CLEAR_EVERY_SECONDS
    assert longest < module.LEFT_BEHIND.total_seconds()
