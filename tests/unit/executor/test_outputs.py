"""Outputs are numbered, packed, and published in order, however the bus behaves."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from qrt_chassis.bus.port import Bus
from qrt_contracts.events import JobOutput
from qrt_contracts.faults import Unavailable
from qrt_contracts.message import Message
from qrt_contracts.values import Limits, OutputKind
from qrt_executor import metrics
from qrt_executor.domain.redaction import Redactor
from qrt_executor.domain.verdict import Stop
from qrt_executor.service.outputs import PENDING_BYTES, Outputs
from tests.support.waiting import wait_until


class FlakyBus:
    """Takes messages when it is open; fails `failures` times first."""

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures
        self.taken: list[JobOutput] = []
        self.open = asyncio.Event()
        self.open.set()
        self.at_once = 0

    async def publish(
        self, message: Message, *, mandatory: bool = False, deadline: timedelta = timedelta(seconds=30)
    ) -> None:
        self.at_once += 1
        assert self.at_once == 1, "one batch at a time keeps the order"
        await self.open.wait()
        self.at_once -= 1
        if self.failures:
            self.failures -= 1
            raise Unavailable("the bus is away")
        assert isinstance(message, JobOutput)
        self.taken.append(message)

    @property
    def outputs(self) -> list[Any]:
        return [output for message in self.taken for output in message.outputs]


def made(bus: FlakyBus, *, secrets: tuple[str, ...] = (), **limits: int) -> tuple[Outputs, list[Stop]]:
    stops: list[Stop] = []
    as_bus: Bus = bus  # type: ignore[assignment]
    outputs = Outputs(
        job_id="0" * 32,
        attempt=1,
        limits=Limits(**limits),
        bus=as_bus,
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        stop=stops.append,
        redactor=Redactor(secrets),
    )
    return outputs, stops


async def test_numbers_have_no_gaps_over_both_kinds_and_a_bus_that_fails() -> None:
    bus = FlakyBus(failures=2)
    outputs, _ = made(bus)
    publishing = asyncio.create_task(outputs.publish_all())
    for i in range(50):
        outputs.log("stdout", b"line\n")
        outputs.interim("text", str(i).encode())
    outputs.close()
    await publishing
    assert [o.number for o in bus.outputs] == list(range(1, 101))
    assert [o.data for o in bus.outputs if o.kind is OutputKind.INTERIM] == [str(i) for i in range(50)]


async def test_a_busy_attempts_outputs_travel_together() -> None:
    bus = FlakyBus()
    outputs, _ = made(bus)
    publishing = asyncio.create_task(outputs.publish_all())
    for _ in range(1000):
        outputs.interim("text", b"x")
    outputs.close()
    await publishing
    assert len(bus.taken) < 10


async def test_a_bus_that_is_away_holds_the_program_up() -> None:
    bus = FlakyBus()
    bus.open.clear()
    outputs, _ = made(bus)
    publishing = asyncio.create_task(outputs.publish_all())
    outputs.interim("text", b"in flight")
    await wait_until(lambda: bus.at_once == 1, description="a batch in flight")
    while outputs._pending_bytes < PENDING_BYTES:
        outputs.interim("text", b"x" * 10_000)
    waiting = asyncio.create_task(outputs.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    bus.open.set()
    await wait_until(waiting.done, description="room again")
    outputs.close()
    await publishing


async def test_what_is_dropped_is_remarked_at_the_end() -> None:
    bus = FlakyBus()
    before = metrics.DROPPED_BYTES._value.get()
    outputs, _ = made(bus, log_bytes=1024)
    publishing = asyncio.create_task(outputs.publish_all())
    outputs.log("stdout", b"x" * 5000)
    outputs.close()
    await publishing
    assert bus.outputs[-1].stream == "system"
    assert "3976 bytes" in bus.outputs[-1].data
    assert metrics.DROPPED_BYTES._value.get() - before == 3976


async def test_an_interim_result_over_the_limit_stops_the_attempt_once_and_is_not_kept() -> None:
    bus = FlakyBus()
    outputs, stops = made(bus, interim_count=1)
    outputs.interim("json", b"1")
    outputs.interim("json", b"2")
    assert len(stops) == 1
    assert outputs.last_number == 1


async def test_a_secret_is_in_no_log_however_it_is_cut_and_an_answer_stays_as_it_is() -> None:
    bus = FlakyBus()
    outputs, _ = made(bus, secrets=("hunter2",))
    publishing = asyncio.create_task(outputs.publish_all())
    for piece in (b"it is hun", b"ter2\n", b"hun"):
        outputs.log("stdout", piece)
        await asyncio.sleep(0)
    outputs.log("stderr", b"ter2")
    outputs.remark("the image hunter2 is pulled")
    outputs.interim("text", b"hunter2")
    outputs.close()
    await publishing
    log = "".join(o.data for o in bus.outputs if o.stream == "stdout")
    assert log == "it is ***\nhun"
    assert [o.data for o in bus.outputs if o.stream == "system"] == ["the image *** is pulled\n"]
    assert [o.data for o in bus.outputs if o.kind is OutputKind.INTERIM] == ["hunter2"]
