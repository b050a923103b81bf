"""The dispatcher: the one replica that RabbitMQ feeds decides which executor runs what, and when.

All its memory is a cache of the store: it is built when the first message arrives (`_take_over`)
and dropped whenever the bus connection was lost, for another replica may have been fed meanwhile.
Every change is guarded, so a dispatcher that only believes it is the one does no harm.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial

from qrt_chassis.bus.port import Bus, Undeliverable
from qrt_chassis.passing import is_passing
from qrt_chassis.patience import patiently
from qrt_contracts.events import (
    AttemptFinished,
    CancelAttempt,
    CancelRequested,
    Heartbeat,
    JobSubmitted,
    RunAttempt,
)
from qrt_contracts.jobs import Job
from qrt_contracts.states import TERMINAL, JobState
from qrt_scheduler import metrics
from qrt_scheduler.domain import moves
from qrt_scheduler.domain.backlog import Backlog, Waiting
from qrt_scheduler.domain.fleet import Executor, Fleet, Lease
from qrt_scheduler.domain.place import Snapshot
from qrt_scheduler.ports import Clock, JobHead, JobStore, Monotonic
from qrt_scheduler.service.jobs import RACES, changed
from qrt_scheduler.service.outbox import Outbox, outgoing

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
STALLED_SECONDS = 3.0
"""A tick this late means that this process stood still and heard nobody."""
RECENT_SHARE = 0.05
"""The weight of the newest run time in the mean that start estimates use."""
STARTS = 64
"""Starts of attempts under way at once."""


@dataclass(slots=True)
class _Memory:
    backlog: Backlog
    fleet: Fleet
    blind: bool = False
    starting: set[str] = field(default_factory=set)


def waiting(job: Job) -> Waiting:
    """Return what choosing needs of a queued job."""
    return Waiting(job.id, job.owner, job.run.program_id, job.priority, job.run.quota.running)


class Dispatcher:
    """Moves jobs from the queue to executors and to their ends."""

    def __init__(
        self,
        *,
        bus: Bus,
        jobs: JobStore,
        outbox: Outbox,
        clock: Clock,
        monotonic: Monotonic,
        lease_seconds: float,
        owner_limit: int | None = None,
    ) -> None:
        self._bus = bus
        self._jobs = jobs
        self._outbox = outbox
        self._clock = clock
        self._monotonic = monotonic
        self._lease_seconds = lease_seconds
        self._owner_limit = owner_limit
        self._run_seconds: float | None = None
        self._memory: _Memory | None = None
        self._taking_over = asyncio.Lock()
        self._wake = asyncio.Event()

    # --- what the bus brings ------------------------------------------------------------------

    def forget(self) -> None:
        """Drop the memory: the connection was lost, and with it the certainty of being the one."""
        self._memory = None

    async def on_submitted(self, event: JobSubmitted) -> None:
        """Queue a job that was stored."""
        memory = await self._active()
        if event.job_id not in memory.fleet.leases and event.job_id not in memory.starting:
            memory.backlog.add(
                Waiting(event.job_id, event.owner, event.program_id, event.priority, event.max_running)
            )
        self._wake.set()

    async def on_cancel(self, event: CancelRequested) -> None:
        """Take a cancelled job out of the queue, or tell its executor."""
        memory = await self._active()
        memory.backlog.remove(event.job_id)
        if lease := memory.fleet.leases.get(event.job_id):
            lease.cancel_requested = True
            await self._order_cancel(lease.executor, lease.incarnation, lease.job_id, lease.attempt)

    async def on_finished(self, event: AttemptFinished) -> None:
        """Store how an attempt ended; what a ghost reports is dropped."""
        memory = await self._active()
        lease = memory.fleet.leases.get(event.job_id)
        if lease and (lease.attempt, lease.incarnation) == (event.attempt, event.incarnation):
            lease.settling = True
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
        memory.fleet.heard(beat, now)
        for job_id, attempt in memory.fleet.ghosts(beat):
            if job_id not in memory.starting:
                metrics.GHOSTS.inc()
                await self._order_cancel(beat.executor, beat.incarnation, job_id, attempt)
        for lease in list(memory.fleet.unlisted(beat, now)):
            await self._lose(memory, lease, f"executor {lease.executor} no longer runs it")
        for lease in list(memory.fleet.leases.values()):
            if lease.cancel_requested and lease.executor == beat.executor:
                await self._order_cancel(lease.executor, lease.incarnation, lease.job_id, lease.attempt)
        self._wake.set()

    # --- loops --------------------------------------------------------------------------------

    async def dispatch(self) -> None:
        """Start queued jobs whenever there is room and work."""
        self.forget()  # what an earlier run of this loop left half done is in the store
        limit = asyncio.Semaphore(STARTS)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while (memory := self._memory) and (executor := memory.fleet.room()):
                    await limit.acquire()
                    due = memory.backlog.pick()
                    if due is None:
                        limit.release()
                        break
                    self._reserve(memory, due, executor)
                    task = group.create_task(self._guarded_start(memory, due, executor))
                    task.add_done_callback(lambda _: limit.release())

    async def watch_leases(self) -> None:
        """Give up on attempts whose executor is silent, unless it is we who cannot hear."""
        last = self._monotonic()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self._monotonic()
            stalled, last = now - last > TICK_SECONDS + STALLED_SECONDS, now
            if memory := self._memory:
                await self._watch(memory, now, stalled=stalled)

    async def _watch(self, memory: _Memory, now: float, *, stalled: bool) -> None:
        try:
            await self._bus.ping()
        except Exception as error:
            if not is_passing(error):
                raise
            memory.blind = True
            return
        if memory.blind or stalled:
            memory.blind = False
            memory.fleet.forgive(now)
            return
        for lease in list(memory.fleet.silent(now)):
            await self._lose(memory, lease, f"executor {lease.executor} is silent")
        metrics.observe(memory.backlog, memory.fleet)
        await self._jobs.save_snapshot(self._snapshot(memory))

    def _snapshot(self, memory: _Memory) -> Snapshot:
        executors = memory.fleet.executors.values()
        return Snapshot(
            at=self._clock(),
            executors=len(executors),
            slots=sum(each.slots for each in executors),
            free=sum(each.free for each in executors),
            queued=dict(memory.backlog.queued),
            waiting=dict(memory.backlog.waiting),
            running=dict(memory.backlog.running),
            programs=dict(memory.backlog.programs),
            owner_limit=self._owner_limit,
            run_seconds=self._run_seconds,
        )

    # --- taking over --------------------------------------------------------------------------

    async def _active(self) -> _Memory:
        if memory := self._memory:
            return memory
        async with self._taking_over:
            if self._memory is None:
                self._memory = await self._take_over()
            return self._memory

    async def _take_over(self) -> _Memory:
        memory = _Memory(Backlog(owner_limit=self._owner_limit), Fleet(lease_seconds=self._lease_seconds))
        async for head in self._jobs.unfinished():
            if head.status is JobState.QUEUED:
                memory.backlog.add(
                    Waiting(head.job_id, head.owner, head.program_id, head.priority, head.max_running)
                )
            else:
                memory.fleet.hold(self._lease_of(head))
                memory.backlog.started(head.owner, head.program_id)
        log.info("dispatching now: %d queued, %d running", len(memory.backlog), len(memory.fleet.leases))
        return memory

    def _lease_of(self, head: JobHead) -> Lease:
        return Lease(
            job_id=head.job_id,
            owner=head.owner,
            program_id=head.program_id,
            attempt=head.attempt,
            executor=head.executor or "",
            incarnation=head.incarnation or "",
            since=self._monotonic(),
            cancel_requested=head.cancel_requested,
        )

    # --- starting -----------------------------------------------------------------------------

    def _reserve(self, memory: _Memory, due: Waiting, executor: Executor) -> None:
        memory.starting.add(due.job_id)
        memory.backlog.started(due.owner, due.program_id)
        executor.held.add(due.job_id)

    def _unreserve(self, memory: _Memory, due: Waiting, executor: Executor) -> None:
        memory.backlog.stopped(due.owner, due.program_id)
        executor.held.discard(due.job_id)

    async def _guarded_start(self, memory: _Memory, due: Waiting, executor: Executor) -> None:
        try:
            start = partial(self._start, memory, due, executor)
            await patiently(start, what="starting an attempt")
        finally:
            memory.starting.discard(due.job_id)
            self._wake.set()

    async def _start(self, memory: _Memory, due: Waiting, executor: Executor) -> None:
        job = await self._jobs.get(due.job_id)
        started = await self._begun(job, executor) if job else None
        if started is None:
            self._unreserve(memory, due, executor)
            self._sync(memory, due.job_id, await self._jobs.get(due.job_id))
            return
        lease = self._lease(started)
        memory.fleet.hold(lease)
        metrics.WAITED.observe((self._clock() - started.created_at).total_seconds())
        await self._order_run(memory, lease, started)

    async def _begun(self, job: Job, executor: Executor) -> Job | None:
        """Store the job's next attempt; None if the job has moved on without us."""
        newest = job.newest
        if job.status is JobState.QUEUED:
            started = moves.begin(
                job, executor=executor.name, incarnation=executor.incarnation, now=self._clock()
            )
            return started if await self._change(job, started) else None
        if (
            job.status is JobState.RUNNING
            and newest
            and (newest.executor, newest.incarnation) == (executor.name, executor.incarnation)
        ):
            return job  # stored by an earlier try of ours whose answer was lost
        return None

    async def _order_run(self, memory: _Memory, lease: Lease, job: Job) -> None:
        order = RunAttempt(
            executor=lease.executor,
            incarnation=lease.incarnation,
            job_id=job.id,
            attempt=job.attempt,
            owner=job.owner,
            run=job.run,
            input=job.input,
        )
        try:
            await self._bus.publish(order, mandatory=True)
        except Undeliverable:
            memory.fleet.executors.pop(lease.executor, None)
            await self._lose(memory, lease, f"executor {lease.executor} is gone")
        except Exception as error:
            if not is_passing(error):
                raise
            # It may have arrived or not. The executor's heartbeats will tell.
            log.warning("an order may not have reached its executor: %s", error)

    async def _order_cancel(self, executor: str, incarnation: str, job_id: str, attempt: int) -> None:
        order = CancelAttempt(executor=executor, incarnation=incarnation, job_id=job_id, attempt=attempt)
        try:
            await self._bus.publish(order, mandatory=True)
        except Exception as error:
            if not is_passing(error) and not isinstance(error, Undeliverable):
                raise
            # Repeated at the executor's next heartbeat; without one, the lease ends it.
            log.info("a cancellation did not reach its executor: %s", error)

    # --- ending -------------------------------------------------------------------------------

    async def _settle(self, memory: _Memory, event: AttemptFinished) -> None:
        for _ in range(RACES):
            job = await self._jobs.get(event.job_id)
            if job is None or not moves.is_current(job, event):
                metrics.GHOSTS.inc()
                log.info("dropped the end of a ghost attempt", extra={"job_id": event.job_id})
                self._sync(memory, event.job_id, job)
                return
            if event.end == "refused" and (executor := memory.fleet.executors.get(event.executor)):
                executor.full = True
            new = moves.finish(job, event)
            if await self._change(job, new):
                self._measure(event)
                self._sync(memory, job.id, new)
                return
        raise TimeoutError(f"job {event.job_id} changes too fast")

    def _measure(self, event: AttemptFinished) -> None:
        """Keep a mean of run times in which recent jobs weigh most."""
        seconds = (event.ended_at - event.started_at).total_seconds()
        known = self._run_seconds
        self._run_seconds = seconds if known is None else known + (seconds - known) * RECENT_SHARE

    async def _lose(self, memory: _Memory, lease: Lease, reason: str) -> None:
        job = await self._jobs.get(lease.job_id)
        if lease.settling:
            return
        if job and job.status is JobState.RUNNING and job.attempt == lease.attempt:
            ids = {"job_id": job.id, "attempt": job.attempt}
            log.warning("an attempt is lost: %s", reason, extra=ids)
            metrics.LOST.inc()
            new = moves.lose(job, reason=reason, now=self._clock())
            job = new if await self._change(job, new) else await self._jobs.get(job.id)
        self._sync(memory, lease.job_id, job)

    async def _change(self, job: Job, new: Job) -> bool:
        news = outgoing(job.id, changed(new))
        if not await self._jobs.update(job, new, news):
            return False
        if new.status in TERMINAL:
            metrics.ENDED.labels(status=new.status.value).inc()
        await self._outbox.send(news)
        return True

    def _sync(self, memory: _Memory, job_id: str, job: Job | None) -> None:
        """Make the memory of one job agree with the store."""
        if job and job.status is JobState.RUNNING:
            lease = memory.fleet.leases.get(job_id)
            if lease is None or lease.attempt != job.attempt:
                self._release(memory, job_id)
                memory.fleet.hold(self._lease(job))
                memory.backlog.started(job.owner, job.run.program_id)
            return
        self._release(memory, job_id)
        memory.backlog.remove(job_id)
        if job and job.status is JobState.QUEUED:
            memory.backlog.add(waiting(job))
        self._wake.set()

    def _release(self, memory: _Memory, job_id: str) -> None:
        if lease := memory.fleet.release(job_id):
            memory.backlog.stopped(lease.owner, lease.program_id)

    def _lease(self, job: Job) -> Lease:
        newest = job.attempts[-1]
        return Lease(
            job_id=job.id,
            owner=job.owner,
            program_id=job.run.program_id,
            attempt=job.attempt,
            executor=newest.executor,
            incarnation=newest.incarnation,
            since=self._monotonic(),
            cancel_requested=job.cancel_requested,
        )
