"""The log of a build: numbered, bounded, sent on in order, never silent for long."""

import asyncio

import pytest

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.port import Subscription
from qrt_contracts.events import BuildProgress
from qrt_contracts.message import Exchange
from qrt_executor.service import progress
from qrt_executor.service.progress import Progress
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kipu


async def told(bus: MemoryBus) -> list[BuildProgress]:
    """Return the list that all progress comes to stand in."""
    heard: list[BuildProgress] = []

    async def on_progress(event: BuildProgress) -> None:
        heard.append(event)

    bindings = ((Exchange.EVENTS, "program.*.build"),)
    await bus.subscribe(Subscription(queue="heard", bindings=bindings), {BuildProgress: on_progress})
    return heard


async def test_lines_are_numbered_from_one_without_gaps_and_safe_to_show() -> None:
    bus = MemoryBus()
    heard, log = await told(bus), Progress(bus, program_id="p", version=2)
    publishing = asyncio.create_task(log.publish_all())
    log.say("one\ntwo")
    await wait_until(lambda: heard, description="the first lines")
    log.say("")
    log.say("a\0b \udc80" + "x" * 9000)
    log.close()
    await publishing
    await wait_until(lambda: len(heard) == 2, description="the other lines")
    assert (heard[0].first, heard[0].lines) == (1, ("one", "two"))
    assert (heard[1].first, heard[1].lines[0]) == (3, "")
    assert heard[1].lines[1].startswith("a\\0b ?xxx")
    assert len(heard[1].lines[1]) <= progress.LINE_CHARACTERS + 1
    assert (log.last_line, {event.version for event in heard}) == (4, {2})
    await bus.close()


async def test_what_is_too_much_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MOST_LINES", 3)
    bus = MemoryBus()
    heard, log = await told(bus), Progress(bus, program_id="p", version=1)
    for number in range(10):
        log.say(str(number))
    log.close()
    await log.publish_all()
    await wait_until(lambda: heard, description="the lines")
    assert heard[0].lines == ("0", "1", "2", "… 7 lines of the log dropped: it was longer than is kept")
    await bus.close()


async def test_a_build_that_prints_nothing_says_that_it_goes_on() -> None:
    bus = MemoryBus()
    heard, log = await told(bus), Progress(bus, program_id="p", version=1, silence_seconds=0.01)
    publishing = asyncio.create_task(log.publish_all())
    await wait_until(lambda: len(heard) >= 2, description="signs of life")
    log.close()
    await publishing
    assert heard[1].lines[0] == "(the build goes on)"
    await bus.close()
