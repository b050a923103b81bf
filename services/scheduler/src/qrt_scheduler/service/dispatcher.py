"""The dispatcher: the one replica that RabbitMQ feeds decides which executor runs what, and when.

All its memory is a cache of the store: it is built when the first message arrives (`_take_over`)
and dropped whenever the bus connection was lost, for another replica may have been fed meanwhile.
Every change is guarded, so a dispatcher that only believes it is the one does no harm; and what it
does not know of (an attempt that another one started) it looks up before it acts on it.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from qrt_chassis import tracing
from qrt_chassis.bus.port import Bus
from qrt_chassis.passing import is_passing
from qrt_chassis.patience import patiently
from qrt_contracts.events import AttemptFinished, CancelRequested, Heartbeat, JobSubmitted
from qrt_contracts.faults import Unavailable
from qrt_contracts.jobs import Job
from qrt_contracts.states import JobState
from qrt_scheduler import metrics
from qrt_scheduler.domain import moves
from qrt_scheduler.domain.backlog import Backlog, Waiting
from qrt_scheduler.domain.fleet import Executor, Fleet, Lease
from qrt_scheduler.domain.needs import Ability, Needs
from qrt_scheduler.ports import Clock, JobStore, Monotonic, UnreadableJob
from qrt_scheduler.service.changes import Changes
from qrt_scheduler.service.jobs import RACES
from qrt_scheduler.service.memory import Memory
from qrt_scheduler.service.orders import Orders, Sent
from qrt_scheduler.service.recent import Recent

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
STALLED_SECONDS = 3.0
"""A tick this late means that this process stood still and heard nobody."""
RECENT_SHARE = 0.05
"""The weight of the newest run time in the mean that start estimates use."""
STARTS = 64
"""Starts of attempts under way at once."""


class Dispatcher:
    """Moves jobs from the queue to executors and to their ends."""

    def __init__(
        self,
        *,
        bus: Bus,
        jobs: JobStore,
        changes: Changes,
        recent: Recent,
        clock: Clock,
        monotonic: Monotonic,
        lease_seconds: float,
        owner_limit: int | None = None,
        memory_seconds: float = 60.0,
    ) -> None:
        self._bus = bus
        self._jobs = jobs
        self._changes = changes
        self._recent = recent
        self._orders = Orders(bus)
        self._clock = clock
        self._monotonic = monotonic
        self._lease_seconds = lease_seconds
        self._owner_limit = owner_limit
        self._memory_seconds = memory_seconds
        self._run_seconds: float | None = None
        self._memory: Memory | None = None
        self._losses = 0
        """How often the connection was lost."""
        self._taking_over = asyncio.Lock()
        self._wake = asyncio.Event()

    # --- what the bus brings ------------------------------------------------------------------

    def forget(self) -> None:
        """Drop the memory: the connection was lost, and with it the certainty of being the one."""
        self._memory = None
        self._losses += 1
        metrics.observe_nothing()

    async def on_submitted(self, event: JobSubmitted) -> None:
        """Queue a job that was stored as QUEUED."""
        memory = await self._active()
        needs = Needs.of(event.kind, event.resources)
        memory.queue(
            Waiting(
                event.job_id,
                event.owner,
                event.program_id,
                event.priority,
                event.max_running,
                needs,
                event.environment,
                trace=tracing.carried(),
            )
        )
        self._wake.set()

    async def on_cancel(self, event: CancelRequested) -> None:
        """Take a cancelled job out of the queue, or tell its executor."""
        memory = await self._active()
        memory.backlog.remove(event.job_id)
        if event.job_id in memory.starting:
            memory.cancelled.add(event.job_id)
        if lease := memory.fleet.leases.get(event.job_id):
            lease.cancel_requested = True
            await self._cancel(lease)

    async def on_finished(self, event: AttemptFinished) -> None:
        """Store how an attempt ended; what a ghost reports is dropped."""
        memory = await self._active()
        lease = memory.fleet.leases.get(event.job_id)
        if lease and (lease.attempt, lease.incarnation) == (event.attempt, event.incarnation):
            lease.settling = True
            if event.end != "refused":  # the next start need not wait until this end is stored
                memory.fleet.vacate(lease)
                self._wake.set()
        try:
            await self._settle(memory, event)
        except Exception as error:
            # After a passing fault the bus brings the event again: until then the lease must not
            # be taken for lost, though its executor has stopped listing it.
            if lease and not is_passing(error):
                lease.settling = False
            raise

    async def on_heartbeat(self, beat: Heartbeat) -> None:
        """Learn what an executor runs, and what it has lost."""
        memory = await self._active()
        now = self._monotonic()
        if not memory.fleet.heard(beat, now):
            return
        for job_id, attempt in list(memory.fleet.ghosts(beat)):
            await self._unknown(memory, beat, job_id, attempt)
        for lease in list(memory.fleet.unlisted(beat, now)):
            await self._missed(memory, lease, beat)
        for lease in memory.fleet.leases_of(beat.executor):
            if lease.cancel_requested:
                await self._cancel(lease)
        self._wake.set()

    # --- loops --------------------------------------------------------------------------------

    async def dispatch(self) -> None:
        """Start queued jobs whenever there is room and work."""
        self._memory = None  # what an earlier run of this loop left half done is in the store
        limit = asyncio.Semaphore(STARTS)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while (memory := self._memory) and not memory.blind and memory.fleet.room():
                    await limit.acquire()
                    start = memory.next()
                    if start is None:
                        limit.release()
                        break
                    memory.reserve(start.due, start.executor)
                    task = group.create_task(self._guarded_start(memory, start.due, start.executor))
                    task.add_done_callback(lambda _: limit.release())

    async def watch_leases(self) -> None:
        """Give up on attempts whose executor is silent, unless it is we who cannot hear."""
        last = self._monotonic()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self._monotonic()
            stalled, last = now - last > TICK_SECONDS + STALLED_SECONDS, now
            if memory := self._memory:
                await self.look_round(memory, now, stalled=stalled)

    async def look_round(self, memory: Memory, now: float, *, stalled: bool) -> None:
        """See once who is silent, and store what other replicas answer from."""
        try:
            await self._bus.ping()
            await self.save_snapshot(memory)
            await self._look(memory, now, stalled=stalled)
        except Exception as error:
            if not is_passing(error):
                raise
            # Without the bus nobody is heard; without the store what was heard waits to be handled.
            log.warning("leases are not judged at present: %r", error)
            memory.blind = True

    async def _look(self, memory: Memory, now: float, *, stalled: bool) -> None:
        while memory.aside:
            memory.queue(memory.aside.pop())
            self._wake.set()
        if memory.blind or stalled:
            memory.blind = False
            memory.fleet.forgive(now)
            memory.since = now
            self._wake.set()
            return
        for lease in list(memory.fleet.silent(now)):
            await self._lose(memory, lease, f"executor {lease.executor} is silent")
        metrics.observe(memory.backlog, memory.fleet, now=now)

    async def save_snapshot(self, memory: Memory) -> None:
        """Store what every replica answers owners' questions from."""
        await self._jobs.save_snapshot(
            memory.snapshot(
                at=self._clock(),
                now=self._monotonic(),
                owner_limit=self._owner_limit,
                run_seconds=self._run_seconds,
            )
        )

    # --- taking over --------------------------------------------------------------------------

    async def _active(self) -> Memory:
        if memory := self._memory:
            return memory
        async with self._taking_over:
            if self._memory is None:
                losses, memory = self._losses, await self._take_over()
                if losses != self._losses:
                    # Whoever is fed now, it need not be us; a memory that hears nobody would take
                    # every attempt for lost.
                    raise Unavailable("the connection was lost while taking over")
                self._memory = memory
            return self._memory

    async def _take_over(self) -> Memory:
        now = self._monotonic()
        fleet = Fleet(lease_seconds=self._lease_seconds, memory_seconds=self._memory_seconds)
        fleet.recall(await self._known_abilities(now))
        memory = Memory(Backlog(owner_limit=self._owner_limit), fleet, since=now)
        async for head in self._jobs.unfinished():
            memory.take_in(head, self._monotonic())
        log.info("dispatching now: %d queued, %d running", len(memory.backlog), len(memory.fleet.leases))
        return memory

    async def _known_abilities(self, now: float) -> list[tuple[Ability, float]]:
        """Return what the last dispatcher knew of executors, and when it had heard that."""
        last = await self._jobs.snapshot()
        if last is None:
            return []
        age = max(0.0, (self._clock() - last.at).total_seconds())
        return [(each.ability, now - age - each.silent_seconds) for each in last.known]

    # --- starting -----------------------------------------------------------------------------

    async def _guarded_start(self, memory: Memory, due: Waiting, executor: Executor) -> None:
        try:
            with tracing.step("dispatch", parent=due.trace, job_id=due.job_id):
                await self._start(memory, due, executor)
        except Exception:  # one job's start must not end all others'
            log.exception("a start failed; it is tried again", extra={"job_id": due.job_id})
            memory.unreserve(due.job_id)
            memory.aside.append(due)
        finally:
            memory.unreserve(due.job_id)
            memory.cancelled.discard(due.job_id)
            self._wake.set()

    async def _start(self, memory: Memory, due: Waiting, executor: Executor) -> None:
        begin = partial(self._begin, due.job_id, executor)
        job, fresh = await patiently(begin, what="starting an attempt")
        memory.unreserve(due.job_id)
        memory.agree(due.job_id, job, self._monotonic())
        lease = memory.fleet.leases.get(due.job_id)
        if job is None or lease is None or lease.incarnation != executor.incarnation:
            return
        sent = await self._orders.run(lease, job)
        if sent is Sent.NOBODY:
            memory.fleet.refused(executor)
            if fresh:
                reason = f"executor {lease.executor} was gone before it was ordered"
                take_back = partial(self._withdraw, memory, lease, reason)
                await patiently(take_back, what="taking an attempt back")
        elif lease.cancel_requested or due.job_id in memory.cancelled:
            lease.cancel_requested = True
            await self._cancel(lease)

    async def _begin(self, job_id: str, executor: Executor) -> tuple[Job | None, bool]:
        """Store a job's next attempt; return the job as it is now, and whether that was done here."""
        job = self._recent.take(job_id) or await self._read(job_id)
        if job is None or job.status is not JobState.QUEUED:
            return job, False
        started = moves.begin(
            job, executor=executor.name, incarnation=executor.incarnation, now=self._clock()
        )
        if not await self._changes.store(job, started):
            return await self._read(job_id), False
        metrics.STARTED.inc()
        metrics.WAITED.observe(max(0.0, (self._clock() - started.created_at).total_seconds()))
        return started, True

    async def _cancel(self, lease: Lease) -> None:
        await self._orders.cancel(lease.executor, lease.incarnation, lease.job_id, lease.attempt)

    # --- what heartbeats say ------------------------------------------------------------------

    async def _unknown(self, memory: Memory, beat: Heartbeat, job_id: str, attempt: int) -> None:
        """An executor runs what is not known here: another dispatcher's order, or a ghost."""
        if job_id in memory.starting:
            return
        job = await self._read(job_id)
        newest = job.newest if job and job.status is JobState.RUNNING else None
        if newest and (newest.number, newest.incarnation) == (attempt, beat.incarnation):
            memory.agree(job_id, job, self._monotonic())
            return
        metrics.GHOSTS.inc()
        await self._orders.cancel(beat.executor, beat.incarnation, job_id, attempt)

    async def _missed(self, memory: Memory, lease: Lease, beat: Heartbeat) -> None:
        """An executor does not vouch for an attempt that it was to run."""
        name = lease.executor
        if lease.incarnation != beat.incarnation:
            await self._lose(memory, lease, f"executor {name} was started anew")
        elif beat.leaving and (lease.job_id, lease.attempt) not in {
            (each.job_id, each.attempt) for each in beat.running
        }:
            await self._withdraw(memory, lease, f"executor {name} left before it took the order")
        elif beat.leaving:
            await self._lose(memory, lease, f"executor {name} left")
        elif lease.repeated:
            await self._lose(memory, lease, f"executor {name} no longer runs it")
        else:
            await self._order_again(memory, lease)

    async def _order_again(self, memory: Memory, lease: Lease) -> None:
        """Repeat an order that was lost with a queue or a dispatcher; taken twice it does nothing."""
        lease.repeated, lease.since = True, self._monotonic()
        job = await self._read(lease.job_id)
        if job and job.status is JobState.RUNNING and job.attempt == lease.attempt:
            metrics.REPEATED.inc()
            log.info("an order is repeated", extra={"job_id": job.id, "attempt": job.attempt})
            await self._orders.run(lease, job)
        else:
            memory.agree(lease.job_id, job, self._monotonic())

    # --- ending -------------------------------------------------------------------------------

    async def _settle(self, memory: Memory, event: AttemptFinished) -> None:
        for _ in range(RACES):
            guess = self._recent.take(event.job_id)
            known = guess is not None and moves.is_current(guess, event)
            job = guess if known else await self._jobs.get(event.job_id)
            if job is None or not moves.is_current(job, event):
                metrics.GHOSTS.inc()
                log.info("dropped the end of a ghost attempt", extra={"job_id": event.job_id})
                memory.agree(event.job_id, job, self._monotonic())
                self._wake.set()
                return
            if event.end == "refused" and (executor := memory.fleet.executors.get(event.executor)):
                memory.fleet.refused(executor)
            new = moves.finish(job, event, now=self._clock())
            if await self._changes.store(job, new):
                self._measure(event)
                memory.agree(job.id, new, self._monotonic())
                self._wake.set()
                return
        raise TimeoutError(f"job {event.job_id} changes too fast")

    def _measure(self, event: AttemptFinished) -> None:
        """Keep a mean of run times in which recent jobs weigh most."""
        if event.end == "refused":
            return
        seconds = max(0.0, (event.ended_at - event.started_at).total_seconds())
        known = self._run_seconds
        self._run_seconds = seconds if known is None else known + (seconds - known) * RECENT_SHARE

    async def _lose(self, memory: Memory, lease: Lease, reason: str) -> None:
        await self._give_up(memory, lease, partial(moves.lose, reason=reason, now=self._clock()), reason)

    async def _withdraw(self, memory: Memory, lease: Lease, reason: str) -> None:
        take_back = partial(moves.withdraw, reason=reason, now=self._clock())
        await self._give_up(memory, lease, take_back, reason)

    async def _give_up(self, memory: Memory, lease: Lease, move: Callable[[Job], Job], reason: str) -> None:
        job = await self._read(lease.job_id)
        if lease.settling:
            return
        if job and job.status is JobState.RUNNING and job.attempt == lease.attempt:
            log.warning("an attempt is over: %s", reason, extra={"job_id": job.id, "attempt": job.attempt})
            new = move(job)
            job = new if await self._changes.store(job, new) else await self._read(job.id)
        memory.agree(lease.job_id, job, self._monotonic())
        self._wake.set()

    async def _read(self, job_id: str) -> Job | None:
        """Return a job; one whose record cannot be read is left alone, as if there were none."""
        try:
            return await self._jobs.get(job_id)
        except UnreadableJob:
            log.exception("a job cannot be read; it stays as it is", extra={"job_id": job_id})
            return None
