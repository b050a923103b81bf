"""A listener sees each output once and in order, whatever becomes of messages on their way."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qrt_chassis.backoff import Backoff
from qrt_chassis.bus.port import Handlers, Subscription
from qrt_contracts.api import AttemptFrame, EndFrame, Frame, OutputsFrame, StateFrame
from qrt_contracts.commands import GetJob, OutputPage, ReadOutputs, Submitted
from qrt_contracts.events import JobChanged, JobOutput
from qrt_contracts.faults import Unavailable
from qrt_contracts.message import Exchange
from qrt_contracts.states import TERMINAL, JobState
from qrt_contracts.values import Output, OutputKind
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.service import mailbox, recent
from qrt_gateway.service.live import Live
from qrt_gateway.service.watching import Watching
from tests.support.waiting import wait_until
from tests.unit.gateway.fakes import NOW, FakeScheduler

JOB = "0" * 32
ALICE = Caller("alice", admin=False)


class UnreliableWorld:
    """A job, its history that lags, and a bus that loses, repeats, delays and interrupts."""

    def __init__(self) -> None:
        self.job = FakeScheduler(self).add(JOB)  # type: ignore[arg-type]
        self.truth: dict[int, list[Output]] = {0: []}
        self.stored = 0
        self.delayed: list[Any] = []
        self.failures = 0
        self.asked = 0
        self._handlers: Handlers = {}
        self._restored: Callable[[], None] | None = None
        self.bound: set[str] = set()

    # What the gateway uses of the bus.

    async def subscribe(self, _: Subscription, handlers: Handlers, *, on_restored: Any = None) -> Any:
        self._handlers, self._restored = handlers, on_restored
        return self

    async def bind(self, _: Exchange, pattern: str) -> None:
        await asyncio.sleep(0)
        self.bound.add(pattern)

    async def unbind(self, _: Exchange, pattern: str) -> None:
        self.bound.discard(pattern)

    async def cancel(self) -> None:
        self._handlers = {}

    async def request(self, command: Any, *, deadline: timedelta | None = None) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        if self.failures and self.bound:
            self.failures -= 1
            raise Unavailable("no answer")
        if isinstance(command, GetJob):
            return Submitted(job=self.job)
        assert isinstance(command, ReadOutputs)
        return self._page(command)

    def _page(self, command: ReadOutputs) -> OutputPage:
        truth, job = self.truth[self.job.attempt], self.job
        after, reach = (command.after, command.reach) if command.attempt == job.attempt else (0, 0)
        assert reach <= len(truth), "asked for what does not exist"
        self.stored = max(self.stored, reach, len(truth) if job.status in TERMINAL else 0)
        found = truth[after : min(self.stored, after + min(command.limit, 3))]
        last = found[-1].number if found else after
        return OutputPage(
            attempt=job.attempt,
            status=job.status,
            outputs=tuple(found),
            last=last,
            complete=job.status in TERMINAL and last >= job.last_output,
        )

    # What a test makes happen.

    async def send(self, message: Any, fate: str) -> None:
        if fate == "delayed":
            self.delayed.append(message)
        if fate in ("sent", "doubled", "last of all"):
            await self._deliver(message)
        if fate == "doubled":
            await self._deliver(message)

    async def _deliver(self, message: Any) -> None:
        heard = isinstance(message, JobChanged) or message.routing_key() in self.bound
        if heard and self._handlers:
            await self._handlers[type(message)](message)

    async def emit(self, count: int, fate: str) -> None:
        if self.job.status is not JobState.RUNNING:
            return
        truth = self.truth[self.job.attempt]
        new = [
            Output(number=number, kind=OutputKind.INTERIM, at=NOW, data=f"{self.job.attempt}:{number}")
            for number in range(len(truth) + 1, len(truth) + count + 1)
        ]
        truth += new
        await self.send(JobOutput(job_id=JOB, attempt=self.job.attempt, outputs=tuple(new)), fate)

    async def become(self, status: JobState, fate: str, **fields: Any) -> None:
        if self.job.status in TERMINAL or self.job.status is status:
            return
        if status is JobState.RUNNING:
            fields["attempt"] = self.job.attempt + 1
            self.truth[fields["attempt"]] = []
            self.stored = 0
        self.job = self.job.model_copy(update={"status": status, **fields})
        await self.send(
            JobChanged(job_id=JOB, status=status, attempt=self.job.attempt, last_output=self.job.last_output),
            fate,
        )

    async def end(self, fate: str) -> None:
        last = len(self.truth[self.job.attempt])
        await self.become(JobState.SUCCEEDED, fate, last_output=last)

    def store(self, count: int) -> None:
        self.stored = min(self.stored + count, len(self.truth[self.job.attempt]))

    async def release(self) -> None:
        while self.delayed:
            await self._deliver(self.delayed.pop())  # newest first: out of order

    def restore(self) -> None:
        if self._restored:
            self._restored()


FATES = st.sampled_from(["sent", "sent", "sent", "doubled", "delayed", "lost"])
STEPS = st.one_of(
    st.tuples(st.just("emit"), st.integers(1, 4), FATES),
    st.tuples(st.just("emit"), st.integers(1, 4), FATES),
    st.tuples(st.just("emit"), st.integers(1, 4), FATES),
    st.tuples(st.just("store"), st.integers(1, 6)),
    st.tuples(st.just("run"), FATES),
    st.tuples(st.just("lose"), FATES),
    st.tuples(st.just("release")),
    st.tuples(st.just("restore")),
    st.tuples(st.just("fail")),
)
TURNS = st.sampled_from([0, 0, 1, 3, 8, 20])
"""Turns of the event loop after a step: how much the listener gets done meanwhile."""


Steps = list[tuple[tuple[Any, ...], int]]


async def play(steps: Steps, end_fate: str, starts: list[int]) -> tuple[list[list[Frame]], UnreliableWorld]:
    world = UnreliableWorld()
    live = Live(world, monotonic=lambda: 0.0)  # type: ignore[arg-type]
    watch = Watching(world, live, sweep_seconds=0.001)  # type: ignore[arg-type]
    seen: list[list[Frame]] = [[] for _ in starts]

    async def listen(frames: list[Frame]) -> None:
        while not frames:
            with contextlib.suppress(Unavailable):  # nobody answered the first question: ask again
                async for frame in watch.follow(ALICE, JOB):
                    frames.append(frame)  # noqa: PERF401 - what came before an error counts

    async with live.subscribed(), asyncio.timeout(20), asyncio.TaskGroup() as group:
        for position, (step, turns) in enumerate([*steps, (("run", "sent"), 1)]):
            for start, frames in zip(starts, seen, strict=True):
                if position == start:
                    group.create_task(listen(frames))
            await act(world, step)
            for _ in range(turns):
                await asyncio.sleep(0)
        for start, frames in zip(starts, seen, strict=True):
            if start > len(steps):
                group.create_task(listen(frames))
        await world.end(end_fate)
        await world.release()
    return seen, world


async def act(world: UnreliableWorld, step: tuple[Any, ...]) -> None:
    match step:
        case ("emit", count, fate):
            await world.emit(count, fate)
        case ("store", count):
            world.store(count)
        case ("run", fate):
            await world.become(JobState.RUNNING, fate)
        case ("lose", fate):
            if world.job.attempt:
                await world.become(JobState.QUEUED, fate)
        case ("release",):
            await world.release()
        case ("restore",):
            world.restore()
        case ("fail",):
            world.failures = min(world.failures + 1, 1)


def check(frames: list[Frame], world: UnreliableWorld) -> None:
    attempt, number = 0, 0
    for frame in frames[:-1]:
        if isinstance(frame, AttemptFrame):
            assert frame.attempt > attempt
            attempt, number = frame.attempt, 0
        elif isinstance(frame, OutputsFrame):
            assert frame.attempt == attempt
            for output in frame.outputs:
                assert output == world.truth[attempt][number]
                number += 1
        else:
            assert isinstance(frame, StateFrame)
    states = [(each.attempt, each.status) for each in frames if isinstance(each, StateFrame)]
    assert len(set(states)) == len(states), "a state was told twice"
    end = frames[-1]
    assert isinstance(end, EndFrame)
    assert (end.attempt, end.last_output) == (attempt, number)
    assert number == len(world.truth[world.job.attempt]), "the end came before the last output"


@pytest.fixture(autouse=True)
def _small_buffers_and_short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_MESSAGES", 3)
    monkeypatch.setattr(recent, "JOB_WEIGHT", 8 * recent.OUTPUT_WEIGHT)
    monkeypatch.setattr(Backoff, "next", lambda _: 0.0)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(STEPS, TURNS), min_size=5, max_size=40),
    end_fate=FATES,
    starts=st.lists(st.integers(0, 40), min_size=1, max_size=3),
)
def test_each_output_is_seen_once_and_in_order(steps: Steps, end_fate: str, starts: list[int]) -> None:
    seen, world = asyncio.run(play(steps, end_fate, starts))
    for frames in seen:
        check(frames, world)


async def consume(iterator: AsyncIterator[Frame], count: int) -> list[Frame]:
    return [frame async for _, frame in _zip(range(count), iterator)]


async def _zip(numbers: range, iterator: AsyncIterator[Frame]) -> AsyncIterator[tuple[int, Frame]]:
    for number in numbers:
        yield number, await anext(iterator)


def texts(frames: list[Frame]) -> list[str]:
    outputs = (each.outputs for each in frames if isinstance(each, OutputsFrame))
    return [output.data for output in itertools.chain.from_iterable(outputs)]


async def test_a_listener_that_comes_back_gets_only_what_it_has_not_seen() -> None:
    world = UnreliableWorld()
    live = Live(world, monotonic=lambda: 0.0)  # type: ignore[arg-type]
    async with live.subscribed(), asyncio.timeout(10):
        await world.become(JobState.RUNNING, "lost")
        await world.emit(7, "lost")
        await world.end("lost")
        watch = Watching(world, live)  # type: ignore[arg-type]
        frames = [frame async for frame in watch.follow(ALICE, JOB, attempt=1, after=4)]
    assert texts(frames) == ["1:5", "1:6", "1:7"]
    assert not any(isinstance(frame, AttemptFrame) for frame in frames)


async def test_after_without_an_attempt_means_the_newest_one() -> None:
    world = UnreliableWorld()
    live = Live(world, monotonic=lambda: 0.0)  # type: ignore[arg-type]
    async with live.subscribed(), asyncio.timeout(10):
        await world.become(JobState.RUNNING, "lost")
        await world.emit(3, "lost")
        await world.end("lost")
        watch = Watching(world, live)  # type: ignore[arg-type]
        frames = [frame async for frame in watch.follow(ALICE, JOB, after=2)]
    assert texts(frames) == ["1:3"]


async def test_an_attempt_that_never_was_starts_at_the_beginning() -> None:
    world = UnreliableWorld()
    live = Live(world, monotonic=lambda: 0.0)  # type: ignore[arg-type]
    async with live.subscribed(), asyncio.timeout(10):
        await world.become(JobState.RUNNING, "lost")
        await world.emit(2, "lost")
        await world.end("lost")
        watch = Watching(world, live)  # type: ignore[arg-type]
        frames = [frame async for frame in watch.follow(ALICE, JOB, attempt=9, after=100)]
    assert texts(frames) == ["1:1", "1:2"]


async def test_an_aligned_live_message_is_passed_on_as_one_shared_frame() -> None:
    world = UnreliableWorld()
    live = Live(world, monotonic=lambda: 0.0)  # type: ignore[arg-type]
    async with live.subscribed(), asyncio.timeout(10):
        await world.become(JobState.RUNNING, "lost")
        watch = Watching(world, live)  # type: ignore[arg-type]
        one, two = watch.follow(ALICE, JOB), watch.follow(ALICE, JOB)
        for each in (one, two):
            await consume(each, 2)  # attempt, state
        await world.emit(2, "sent")
        assert await anext(one) is await anext(two)
        await one.aclose()
        await two.aclose()


async def test_a_thousand_who_come_at_once_are_told_the_past_by_one_question_and_one_frame() -> None:
    world = UnreliableWorld()
    live, watch = await listening(world)
    async with live.subscribed(), asyncio.timeout(30):
        await world.become(JobState.RUNNING, "lost")
        await world.emit(2, "lost")
        world.store(2)
        first = watch.follow(ALICE, JOB)
        await anext(first)
        listeners = [watch.follow(ALICE, JOB) for _ in range(1000)]
        for _ in range(2):  # attempt, state
            await asyncio.gather(*(anext(each) for each in listeners))
        frames = [await anext(each) for each in listeners]
        assert texts(frames[:1]) == ["1:1", "1:2"]
        assert all(frame is frames[0] for frame in frames)
        assert world.asked == 2
        for each in (first, *listeners):
            await each.aclose()


async def test_who_comes_to_a_job_that_is_followed_is_told_from_what_was_heard(monkeypatch: Any) -> None:
    monkeypatch.setattr(recent, "JOB_WEIGHT", 1 << 20)
    world = UnreliableWorld()
    live, watch = await listening(world)
    async with live.subscribed(), asyncio.timeout(10):
        await world.become(JobState.RUNNING, "lost")
        await world.emit(2, "lost")
        world.store(2)
        first = watch.follow(ALICE, JOB)
        await consume(first, 3)  # attempt, state, what was before
        for _ in range(20):
            await world.emit(1, "sent")
        for _ in range(2):  # the first of them reads what none has heard; the second finds it here
            asked = world.asked
            other = watch.follow(ALICE, JOB)
            assert texts(await consume(other, 23)) == [f"1:{number}" for number in range(1, 23)]
            await other.aclose()
        assert world.asked == asked + 1  # the job, for whose it is and how it stands
        back = watch.follow(ALICE, JOB, attempt=1, after=20)
        assert texts(await consume(back, 3)) == ["1:21", "1:22"]
        await back.aclose()
        await first.aclose()


async def listening(world: UnreliableWorld, sweep_seconds: float = 3600) -> tuple[Live, Watching]:
    live = Live(world, monotonic=lambda: 0.0)  # type: ignore[arg-type]
    return live, Watching(world, live, sweep_seconds=sweep_seconds)  # type: ignore[arg-type]


async def test_a_gap_is_filled_from_history_at_once() -> None:
    world = UnreliableWorld()
    live, watch = await listening(world)
    async with live.subscribed(), asyncio.timeout(10):
        await world.become(JobState.RUNNING, "lost")
        frames = watch.follow(ALICE, JOB)
        await consume(frames, 2)
        await world.emit(2, "lost")
        await world.emit(1, "sent")
        assert texts([await anext(frames)]) == ["1:1", "1:2", "1:3"]
        await frames.aclose()


async def test_the_whole_history_of_a_running_job_comes_without_news() -> None:
    world = UnreliableWorld()
    live, watch = await listening(world)
    async with live.subscribed(), asyncio.timeout(10):
        await world.become(JobState.RUNNING, "lost")
        await world.emit(10, "lost")
        world.store(10)
        frames = watch.follow(ALICE, JOB)
        assert len(texts(await consume(frames, 6))) == 10  # attempt, state, four pages of three
        await frames.aclose()


async def test_a_message_of_an_earlier_attempt_is_dropped() -> None:
    world = UnreliableWorld()
    live, watch = await listening(world)
    async with live.subscribed(), asyncio.timeout(10):
        await world.become(JobState.RUNNING, "lost")
        await world.emit(1, "delayed")
        await world.become(JobState.QUEUED, "lost")
        await world.become(JobState.RUNNING, "lost")
        frames = watch.follow(ALICE, JOB)
        await consume(frames, 2)
        await world.release()
        await world.emit(1, "sent")
        assert texts([await anext(frames)]) == ["2:1"]
        await frames.aclose()


@pytest.mark.parametrize("interruption", ["a reconnect", "an overflow"])
async def test_what_was_missed_is_asked_for_at_once_after(interruption: str) -> None:
    world = UnreliableWorld()
    live, watch = await listening(world)
    async with live.subscribed(), asyncio.timeout(10):
        await world.become(JobState.RUNNING, "lost")
        frames = watch.follow(ALICE, JOB)
        await consume(frames, 2)
        if interruption == "a reconnect":
            await world.emit(2, "lost")
            await world.end("lost")
            world.restore()
        else:
            for _ in range(2):
                await world.emit(1, "sent")
            for _ in range(mailbox.MAX_MESSAGES):
                await world.emit(1, "sent")
            await world.end("lost")
        rest = [frame async for frame in frames]
    assert len(texts(rest)) == len(world.truth[1])
    assert isinstance(rest[-1], EndFrame)


async def test_an_end_that_nobody_told_is_found_by_the_sweep() -> None:
    world = UnreliableWorld()
    live, watch = await listening(world, sweep_seconds=0.01)
    async with live.subscribed(), asyncio.timeout(10):
        await world.become(JobState.RUNNING, "lost")
        frames = watch.follow(ALICE, JOB)
        await consume(frames, 2)
        await world.end("lost")
        assert isinstance(await anext(frames), EndFrame)


async def test_a_stopping_gateway_ends_its_streams_with_a_passing_fault() -> None:
    world = UnreliableWorld()
    live, watch = await listening(world)
    async with live.subscribed(), asyncio.timeout(10):
        frames = watch.follow(ALICE, JOB)
        await consume(frames, 1)
        live.close()
        with pytest.raises(Unavailable):
            await anext(frames)
        with pytest.raises(Unavailable):
            await anext(watch.follow(ALICE, JOB))


async def test_a_binding_is_shared_and_lingers_after_its_last_listener() -> None:
    world, seconds = UnreliableWorld(), [0.0]
    live = Live(world, monotonic=lambda: seconds[0])  # type: ignore[arg-type]
    async with live.subscribed():
        async with live.listen("1", outputs=True), live.listen("1", outputs=True):
            assert world.bound == {"job.1.output"}
            seconds[0] = 100
            await live.unbind_idle()
            assert world.bound == {"job.1.output"}
        await live.unbind_idle()
        assert world.bound == {"job.1.output"}
        seconds[0] += 5
        await live.unbind_idle()
        assert world.bound == set()
        async with live.listen("1", outputs=True):
            assert world.bound == {"job.1.output"}


async def test_changes_of_state_come_without_a_binding_of_their_own() -> None:
    world = UnreliableWorld()
    live, watch = await listening(world)
    async with live.subscribed(), asyncio.timeout(10):
        waiting = asyncio.create_task(watch.ended_job(ALICE, JOB, wait_seconds=10))
        await wait_until(lambda: world.asked == 1, description="the job was looked at")
        await world.end("sent")
        assert (await waiting).status is JobState.SUCCEEDED
        assert world.bound == set()
