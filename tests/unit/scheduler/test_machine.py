"""Whatever crashes wherever, whatever is repeated, late or out of order: no job is lost or settled twice.

Two replicas of the scheduler's real use cases over one store, each of which may believe that it is the
one that dispatches. Hypothesis decides who is fed which message when, and which step is the last.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qrt_chassis.passing import is_passing
from qrt_contracts.commands import CancelJob, SubmitJob
from qrt_contracts.ids import new_id
from qrt_contracts.jobs import AttemptEnd
from qrt_contracts.message import Message
from qrt_contracts.states import TERMINAL, JobState
from qrt_contracts.values import Payload, Quota
from qrt_scheduler import handlers
from qrt_scheduler.service.changes import Changes
from qrt_scheduler.service.dispatcher import Dispatcher
from qrt_scheduler.service.jobs import Jobs
from qrt_scheduler.service.memory import Memory
from qrt_scheduler.service.outbox import Outbox
from qrt_scheduler.service.prospects import Prospects
from qrt_scheduler.service.recent import Recent
from qrt_scheduler.service.room import QueueLimits, Room
from qrt_scheduler.service.trusted import Trusted
from tests.unit.scheduler.factories import run_spec
from tests.unit.scheduler.machine_parts import Crash, FakeBus, FakeJobs, Played, SkippingLoop, Steps, Time

T = TypeVar("T")
OWNERS = ("alice", "bob")
NAMES = ("e1", "e2")
LEASE = 10.0


class Replica:
    """One scheduler process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, jobs: FakeJobs, bus: FakeBus, time: Time) -> None:
        self.outbox = Outbox(bus=bus, jobs=jobs, clock=time.clock)  # type: ignore[arg-type]
        recent, trusted = Recent(), Trusted(monotonic=time.monotonic)
        self.dispatcher = Dispatcher(
            bus=bus,  # type: ignore[arg-type]
            jobs=jobs,
            changes=Changes(jobs=jobs, outbox=self.outbox, recent=recent, trusted=trusted),
            recent=recent,
            clock=time.clock,
            monotonic=time.monotonic,
            lease_seconds=LEASE,
            owner_limit=3,
        )
        room = Room(jobs=jobs, limits=QueueLimits(total=100, owner=100), clock=time.clock)
        self.jobs = Jobs(
            jobs=jobs,
            outputs=None,  # type: ignore[arg-type]
            outbox=self.outbox,
            room=room,
            recent=recent,
            prospects=Prospects(jobs=jobs, clock=time.clock),
            clock=time.clock,
        )
        self.handlers = handlers.dispatch(self.dispatcher)
        self.tasks = [loop.create_task(each) for each in (self.outbox.run(), self.dispatcher.dispatch())]

    @property
    def memory(self) -> Memory | None:
        return self.dispatcher._memory

    @property
    def crashed(self) -> bool:
        return any(task.done() for task in self.tasks)

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        for end in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(end, BaseExceptionGroup):
                _, other = end.split(Crash)
                assert other is None, other
            else:
                assert isinstance(end, asyncio.CancelledError | Crash), end


class Machine(RuleBasedStateMachine):
    """Rules are what can happen; `teardown` stops all faults and sees everything end."""

    alone = False
    """Only one replica is ever fed: then it must know everything without taking over anew."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = SkippingLoop()
        self.steps, self.time = Steps(), Time()
        self.store, self.bus = FakeJobs(self.steps), FakeBus(self.steps)
        self.ran: dict[tuple[str, int], str] = {}
        self.accepted: set[str] = set()
        self.asked: set[str] = set()
        self.replicas = [self._replica(), self._replica()]
        self.start("e1", 2)
        self.start("e2", 1)

    def _replica(self) -> Replica:
        return Replica(self.loop, self.store, self.bus, self.time)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def _on(self, which: int, work: Awaitable[Any]) -> bool:
        """Do something on a replica, and let it come to rest; False if it could not be done."""
        done = self._run(self._carefully(work))
        self._run(_rest())
        for position, replica in enumerate(self.replicas):
            if (position == which and done is None) or replica.crashed:
                self._run(replica.end())
                self.replicas[position] = self._replica()
        self._run(_rest())
        return bool(done)

    async def _carefully(self, work: Awaitable[Any]) -> bool | None:
        """Return None for a crash, False for a fault that the bus or the client tries again."""
        try:
            await work
        except Crash:
            return None
        except Exception as error:
            if not is_passing(error):
                raise
            return False
        return True

    # --- owners ---------------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 1),
        owner=st.sampled_from(OWNERS),
        attempts=st.sampled_from([1, 2, 20]),
        running=st.sampled_from([None, 1]),
    )
    def submit(self, which: int, owner: str, attempts: int, running: int | None) -> None:
        run = run_spec(max_attempts=attempts, program_id=f"{owner} {running}", quota=Quota(running=running))
        command = SubmitJob(caller=owner, job_id=new_id(), run=run, input=Payload(text="1"))
        if self._on(which, self.replicas[which].jobs.submit(command)):
            self.accepted.add(command.job_id)

    @precondition(lambda self: self.store.jobs)
    @rule(which=st.integers(0, 1), data=st.data())
    def cancel(self, which: int, data: st.DataObject) -> None:
        job = self.store.jobs[data.draw(st.sampled_from(sorted(self.store.jobs)))]
        self.asked.add(job.id)
        self._on(which, self.replicas[which].jobs.cancel(CancelJob(caller=job.owner, job_id=job.id)))

    # --- the bus --------------------------------------------------------------------------------

    @precondition(lambda self: self.bus.events)
    @rule(which=st.integers(0, 1), nth=st.integers(0, 30), again=st.booleans())
    def deliver(self, which: int, nth: int, again: bool) -> None:
        position = nth % len(self.bus.events)
        message = self.bus.events.pop(position)
        if not self._deliver(which, message) or again:
            self.bus.events.insert(position, message)

    @rule(
        which=st.sampled_from([0, 0, 0, 1]), most=st.integers(1, 60), beats=st.booleans(), ends=st.booleans()
    )
    def flow(self, which: int, most: int, beats: bool, ends: bool) -> None:
        """For a while everything is as it should be: in order, once, to one replica."""
        for executor in self.bus.executors.values():
            if ends:
                self.bus.events += [executor.finish(key, "succeeded") for key in list(executor.running)]
            if beats:
                self.bus.events.append(executor.beat())
        for _ in range(most):
            if self.bus.events and not self._deliver(which, message := self.bus.events.pop(0)):
                self.bus.events.insert(0, message)
            if self.bus.orders:
                self.order(0, again=False, lost=False)

    @rule(data=st.data(), which=st.sampled_from([0, 0, 0, 1]), owner=st.sampled_from(OWNERS))
    def run(self, data: st.DataObject, which: int, owner: str) -> None:
        """A job comes and is started, if there is room."""
        self.submit(which, owner, data.draw(st.sampled_from([1, 2, 20])), None)
        self.flow(which, 30, beats=True, ends=False)

    def _deliver(self, which: int, message: Message) -> bool:
        which = 0 if self.alone else which
        return self._on(which, self.replicas[which].handlers[type(message)](message))

    @precondition(lambda self: self.bus.orders)
    @rule(nth=st.integers(0, 30), again=st.booleans(), lost=st.booleans())
    def order(self, nth: int, again: bool, lost: bool) -> None:
        position = nth % len(self.bus.orders)
        incarnation, order = self.bus.orders.pop(position)
        if again:
            self.bus.orders.insert(position, (incarnation, order))
        executor = self.bus.executors.get(order.executor)
        if executor and executor.incarnation == incarnation and not lost:
            self.bus.events += executor.take(order)

    @precondition(lambda self: not self.alone)
    @rule(which=st.integers(0, 1))
    def reconnect(self, which: int) -> None:
        self.replicas[which].dispatcher.forget()

    # --- executors ------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), slots=st.integers(1, 3))
    def start(self, name: str, slots: int) -> None:
        """Start an executor; one of that name is gone from one moment to the next."""
        self.bus.executors[name] = Played(name, slots, self.ran)
        self.beat(name)

    @precondition(lambda self: self.bus.executors)
    @rule(data=st.data())
    def vanish(self, data: st.DataObject) -> None:
        del self.bus.executors[data.draw(st.sampled_from(sorted(self.bus.executors)))]

    @precondition(lambda self: self.bus.executors)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        executor = self.bus.executors.pop(data.draw(st.sampled_from(sorted(self.bus.executors))))
        self.bus.events += [executor.finish(key, "refused") for key in list(executor.running)]
        self.bus.events.append(executor.beat(leaving=True))

    @precondition(lambda self: self.bus.executors)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        self.beat(data.draw(st.sampled_from(sorted(self.bus.executors))))

    def beat(self, name: str) -> None:
        self.bus.events.append(self.bus.executors[name].beat())

    @precondition(lambda self: any(each.running for each in self.bus.executors.values()))
    @rule(data=st.data(), end=st.sampled_from(["succeeded", "succeeded", "failed", "refused"]))
    def finish(self, data: st.DataObject, end: str) -> None:
        running = [(name, key) for name, each in self.bus.executors.items() for key in each.running]
        name, key = data.draw(st.sampled_from(sorted(running)))
        self.bus.events.append(self.bus.executors[name].finish(key, end))

    # --- faults and time ------------------------------------------------------------------------

    @rule(after=st.integers(0, 12), crash=st.booleans())
    def arm(self, after: int, crash: bool) -> None:
        self.steps.arm(after, Crash() if crash else ConnectionError("for a moment"))

    @rule(seconds=st.sampled_from([0.5, 3.0, 6.0, 11.0]), wrong=st.sampled_from([0.0, 0.0, -1e6, 1e6]))
    def pass_time(self, seconds: float, wrong: float) -> None:
        self.time.seconds += seconds
        self.time.wrong = wrong

    @rule(which=st.integers(0, 1), stalled=st.booleans())
    def look_round(self, which: int, stalled: bool) -> None:
        replica = self.replicas[which]
        if memory := replica.memory:
            self._on(which, replica.dispatcher.look_round(memory, self.time.seconds, stalled=stalled))

    @rule(which=st.integers(0, 1))
    def sweep(self, which: int) -> None:
        self._on(which, self._sweep(self.replicas[which]))

    async def _sweep(self, replica: Replica) -> None:
        now = self.time.clock()
        for item in await self.store.unsent(before=now, after=now, limit=100):
            await replica.outbox.send(item)

    @rule(which=st.integers(0, 1))
    def clear_outboxes(self, which: int) -> None:
        self._on(which, self.replicas[which].outbox.clear_now())

    # --- what must be so ------------------------------------------------------------------------

    @invariant()
    def no_accepted_job_is_gone(self) -> None:
        assert self.accepted <= set(self.store.jobs)

    @invariant()
    def a_job_has_one_result_of_an_attempt_that_ran(self) -> None:
        for job in self.store.jobs.values():
            ends = [each.end for each in job.attempts]
            assert (ends.count(AttemptEnd.SUCCEEDED) == 1) == (job.status is JobState.SUCCEEDED)
            assert [each.number for each in job.attempts] == sorted({each.number for each in job.attempts})
            if job.status is JobState.SUCCEEDED:
                assert job.result
                assert job.result.text == f'"{job.attempt} {self.ran[(job.id, job.attempt)]}"'
            if job.status is JobState.CANCELLED:
                assert job.id in self.asked

    @invariant()
    def counts_agree_with_what_is_counted(self) -> None:
        for replica in self.replicas:
            if memory := replica.memory:
                _check(memory)

    def teardown(self) -> None:
        """No more faults: everything accepted must come to its end, and nothing may be left."""
        try:
            self._end_well()
        finally:
            for replica in self.replicas:
                self._run(replica.end())
            self._run(self.loop.shutdown_asyncgens())
            self.loop.close()

    def _end_well(self) -> None:
        self.steps.arm(0, None)
        self.time.wrong = 0.0
        for replica in () if self.alone else self.replicas:
            replica.dispatcher.forget()
        self._run(_rest())
        self.start("e1", 2)
        for _ in range(30 + 12 * len(self.store.jobs)):
            if self._all_ended() and not self.bus.events and not self.bus.orders:
                break
            self._one_quiet_round()
        assert self._all_ended(), [job for job in self.store.jobs.values() if job.status not in TERMINAL]
        memory = self.replicas[0].memory
        if memory:
            assert (len(memory.backlog), memory.fleet.leases, memory.starting) == (0, {}, {})
            assert all(not each.held for each in memory.fleet.executors.values())
        for which in (0, 1):
            self.clear_outboxes(which)
        assert not self.store.outboxes

    def _one_quiet_round(self) -> None:
        self.sweep(0)
        self.clear_outboxes(0)
        while self.bus.events:
            self._deliver(0, self.bus.events.pop(0))
        while self.bus.orders:
            incarnation, order = self.bus.orders.pop(0)
            executor = self.bus.executors.get(order.executor)
            if executor and executor.incarnation == incarnation:
                self.bus.events += executor.take(order)
        for executor in self.bus.executors.values():
            self.bus.events += [executor.finish(key, "succeeded") for key in list(executor.running)]
            self.bus.events.append(executor.beat())
        self.time.seconds += 2
        self.look_round(0, False)

    def _all_ended(self) -> bool:
        return all(job.status in TERMINAL for job in self.store.jobs.values())


async def _rest() -> None:
    """Let everything happen that can, pauses between tries included."""
    for _ in range(3):
        for _ in range(60):
            await asyncio.sleep(0)
        await asyncio.sleep(6)


def _check(memory: Memory) -> None:
    waiting = Counter(each.owner for each in memory.backlog._waiting.values())
    assert memory.backlog.queued == waiting
    leases = Counter(each.owner for each in memory.fleet.leases.values())
    starting = Counter(each.due.owner for each in memory.starting.values())
    assert memory.backlog.running == leases + starting
    known = set(memory.fleet.leases) | set(memory.starting)
    for executor in memory.fleet.executors.values():
        assert set(executor.held) <= known
    assert not set(memory.backlog._waiting) & set(memory.fleet.leases)


class Alone(Machine):
    """The same, where nobody takes over but after a crash."""

    alone = True


EXPLORED = settings(
    max_examples=8, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
TestTwoReplicas = Machine.TestCase
TestTwoReplicas.settings = EXPLORED
TestOneReplica = Alone.TestCase
TestOneReplica.settings = EXPLORED
