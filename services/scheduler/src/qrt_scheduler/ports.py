"""What the scheduler's use cases need from the world."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from qrt_contracts.events import Event, JobOutput
from qrt_contracts.jobs import Job
from qrt_contracts.states import JobState
from qrt_contracts.values import Output
from qrt_scheduler.domain.place import Snapshot

Clock = Callable[[], datetime]
"""Aware wall-clock time, for what users see."""

Monotonic = Callable[[], float]
"""Seconds that never jump back, for leases."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Events that a stored change of one job must bring about; stored with it as its outbox."""

    token: str
    """New with each change: tells this outbox from a later one of the same job."""
    job_id: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which of an owner's jobs to list."""

    owner: str
    program_id: str | None = None
    status: JobState | None = None


@dataclass(frozen=True, slots=True)
class JobHead:
    """As much of an unfinished job as dispatching needs in memory."""

    job_id: str
    owner: str
    program_id: str
    priority: int
    max_running: int | None
    status: JobState
    attempt: int
    executor: str | None
    incarnation: str | None
    cancel_requested: bool


class JobStore(Protocol):
    """Jobs, each one document with its outbox. The store is the truth; all else is a cache."""

    async def insert(self, job: Job, outgoing: Outgoing) -> bool:
        """Store a new job; False if the id is taken."""

    async def get(self, job_id: str) -> Job | None:
        """Return a job."""

    async def update(self, old: Job, new: Job, outgoing: Outgoing) -> bool:
        """Store a change if the job still is as `old` says (status, attempt, revision); else False."""

    async def delete(self, job: Job) -> bool:
        """Remove a job if it still is as `job` says; else False."""

    async def page(self, which: JobFilter, *, limit: int, before: str | None) -> list[Job]:
        """Return up to `limit` jobs, newest first, with ids below `before`."""

    def unfinished(self) -> AsyncIterator[JobHead]:
        """Yield every job that is queued or running."""

    async def ahead(self, job: Job) -> int:
        """Count the owner's queued jobs that go before this one."""

    def ended_before(self, moment: datetime, *, limit: int) -> AsyncIterator[Job]:
        """Yield up to `limit` jobs that ended before a moment."""

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Store what the dispatcher knows, for every replica to answer from."""

    async def snapshot(self) -> Snapshot | None:
        """Return the newest stored snapshot."""

    async def claim_key(self, owner: str, key: str, *, job_id: str, fingerprint: str) -> tuple[str, str]:
        """Bind an idempotency key to a job unless it is bound; return (job id, fingerprint) it has."""

    async def sent(self, outgoing: Sequence[Outgoing]) -> None:
        """Empty these outboxes, as far as no later change has replaced them."""

    async def unsent(self, *, before: datetime, limit: int) -> list[Outgoing]:
        """Return outboxes that a change before `before` left behind."""


class OutputStore(Protocol):
    """The history of outputs, in buckets as they arrived."""

    async def add(self, batch: JobOutput) -> None:
        """Store a batch; one with the same job, attempt and first number changes nothing."""

    async def read(self, job_id: str, attempt: int, *, after: int, limit: int) -> list[Output]:
        """Return outputs from number `after` + 1 on, without a gap, at most `limit`."""

    async def delete(self, job_id: str) -> None:
        """Remove all outputs of a job."""
