"""What the dispatching replica keeps in memory: a cache of the store, with the fleet as it was heard.

No method here waits for anything, so each leaves the counts of backlog and fleet in agreement.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from qrt_contracts.jobs import Job
from qrt_contracts.states import JobState
from qrt_scheduler.domain.backlog import Backlog, Fit, Waiting
from qrt_scheduler.domain.fleet import Executor, Fleet, Lease
from qrt_scheduler.domain.needs import Needs
from qrt_scheduler.domain.place import Known, Snapshot
from qrt_scheduler.ports import JobHead

SETTLE_SECONDS = 5.0
"""After this long, every executor that is there has been heard: it is more than two of their heartbeats."""


@dataclass(frozen=True, slots=True)
class Start:
    """A job that was picked, and the executor whose room is kept for it."""

    due: Waiting
    executor: Executor


@dataclass(slots=True)
class Memory:
    """Queued jobs, running attempts, executors."""

    backlog: Backlog
    fleet: Fleet
    since: float
    """From when on the fleet was heard without a break."""
    blind: bool = False
    """The bus does not answer: what is remembered may be out of date, and nothing is started."""
    starting: dict[str, Start] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    """Jobs that were cancelled while they were being started."""
    aside: list[Waiting] = field(default_factory=list)
    """Jobs whose start failed for a reason nobody foresaw; offered again a moment later."""

    def take_in(self, head: JobHead, now: float) -> None:
        """Remember a job as the store tells it, while taking over."""
        if head.status is JobState.QUEUED:
            waiting = Waiting(
                head.job_id,
                head.owner,
                head.program_id,
                head.priority,
                head.max_running,
                head.needs,
                head.environment,
            )
            self.backlog.add(waiting)
            return
        self.backlog.remove(head.job_id)  # it was queued when the queued ones were read
        self.fleet.hold(
            Lease(
                job_id=head.job_id,
                owner=head.owner,
                program_id=head.program_id,
                attempt=head.attempt,
                executor=head.executor or "",
                incarnation=head.incarnation or "",
                since=now,
                needs=head.needs,
                cancel_requested=head.cancel_requested,
            )
        )
        self.backlog.started(head.owner, head.program_id)

    def queue(self, waiting: Waiting) -> None:
        """Queue a job, unless it is past that as far as is known here."""
        if waiting.job_id not in self.fleet.leases and waiting.job_id not in self.starting:
            self.backlog.add(waiting)

    def next(self) -> Start | None:
        """Take the job that is due from the queue, with the executor to start it on."""
        if self.fleet.room() is None:
            return None
        pressing = self.backlog.pressing
        spare = self.fleet.able(pressing.needs) if pressing else None

        @cache
        def place(needs: Needs, presses: bool) -> Executor | None:
            return self.fleet.room(needs, spare=None if presses else spare)

        @cache
        def later(needs: Needs) -> Fit:
            return Fit.LATER if self.fleet.able(needs) else Fit.NOWHERE

        def fit(job: Waiting) -> Fit:
            return Fit.NOW if place(job.needs, job is pressing) else later(job.needs)

        due = self.backlog.pick(fit)
        if due is None:
            return None
        executor = self.fleet.room(due.needs, spare=None if due is pressing else spare, warm=due.environment)
        return Start(due, executor) if executor else None

    def reserve(self, due: Waiting, executor: Executor) -> None:
        """Keep room for a job while its attempt is being stored."""
        self.starting[due.job_id] = Start(due, executor)
        self.backlog.started(due.owner, due.program_id)
        self.fleet.keep(executor, due.job_id, due.needs)

    def unreserve(self, job_id: str) -> None:
        """Give up the room kept for a job, if there is any."""
        if start := self.starting.pop(job_id, None):
            self.backlog.stopped(start.due.owner, start.due.program_id)
            self.fleet.give_back(start.executor, job_id)

    def agree(self, job_id: str, job: Job | None, now: float) -> None:
        """Make the memory of one job agree with the store; None is a job that is gone."""
        running = job is not None and job.status is JobState.RUNNING
        lease = self.fleet.leases.get(job_id)
        if not (running and lease and job and lease.attempt == job.attempt):
            self._release(job_id)
            if running and job:
                self.fleet.hold(_lease(job, now))
                self.backlog.started(job.owner, job.run.program_id)
        if job and job.status is JobState.QUEUED:
            self.queue(_waiting(job))
        else:
            self.backlog.remove(job_id)

    def _release(self, job_id: str) -> None:
        if lease := self.fleet.release(job_id):
            self.backlog.stopped(lease.owner, lease.program_id)

    def snapshot(
        self, *, at: datetime, now: float, owner_limit: int | None, run_seconds: float | None
    ) -> Snapshot:
        """Return what every replica answers from; `at` and `now` are the same moment."""
        executors = self.fleet.executors.values()
        known = self.fleet.abilities(now).items()
        return Snapshot(
            at=at,
            settled=now - self.since >= SETTLE_SECONDS,
            known=tuple(Known(ability=each, silent_seconds=now - heard) for each, heard in known),
            room=tuple(dict.fromkeys(each.left for each in executors if each.free)),
            executors=len(executors),
            slots=sum(each.slots for each in executors),
            free=sum(each.free for each in executors),
            queued=dict(self.backlog.queued),
            waiting=dict(self.backlog.waiting),
            running=dict(self.backlog.running),
            programs=dict(self.backlog.programs),
            owner_limit=owner_limit,
            run_seconds=run_seconds,
        )


def _waiting(job: Job) -> Waiting:
    needs = Needs.of(job.run.kind, job.run.resources)
    return Waiting(
        job.id,
        job.owner,
        job.run.program_id,
        job.priority,
        job.run.quota.running,
        needs,
        job.environment_key,
    )


def _lease(job: Job, now: float) -> Lease:
    newest = job.attempts[-1]
    return Lease(
        job_id=job.id,
        owner=job.owner,
        program_id=job.run.program_id,
        attempt=job.attempt,
        executor=newest.executor,
        incarnation=newest.incarnation,
        since=now,
        needs=Needs.of(job.run.kind, job.run.resources),
        cancel_requested=job.cancel_requested,
    )
