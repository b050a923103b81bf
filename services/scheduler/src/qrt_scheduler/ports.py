"""What the scheduler's use cases need from the world."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from qrt_contracts.events import Event, JobOutput
from qrt_contracts.jobs import Job
from qrt_contracts.rights import Shares
from qrt_contracts.states import JobState
from qrt_contracts.values import Output
from qrt_scheduler.domain.needs import Needs
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
    trace: str | None = None
    """The span that brought the change about; not stored."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list."""

    owner: str | None
    """None is everybody's."""
    program_id: str | None = None
    status: JobState | None = None
    tag: str | None = None
    shared_with: tuple[str, ...] | None = None
    """Only jobs that are shared with any of these."""
    not_of: str | None = None
    """Leaves an owner's jobs out."""


@dataclass(frozen=True, slots=True)
class JobHead:
    """As much of an unfinished job as dispatching needs in memory."""

    job_id: str
    owner: str
    program_id: str
    priority: int
    max_running: int | None
    needs: Needs
    environment: str | None
    status: JobState
    attempt: int
    executor: str | None
    incarnation: str | None
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class Newest:
    """A job's newest attempt, as much of it as taking in its outputs needs."""

    number: int
    lost: bool
    """It was given up: whatever still comes from it is a ghost's."""


class UnreadableJob(Exception):
    """A stored record is not what this release can read: left alone until an operator mends it."""


class JobStore(Protocol):
    """Jobs, each one document with its outbox. The store is the truth; all else is a cache."""

    async def insert(self, job: Job, outgoing: Outgoing) -> bool:
        """Store a new job; False if the id is taken."""

    async def get(self, job_id: str) -> Job | None:
        """Return a job. Raises: UnreadableJob."""

    async def newest(self, job_id: str) -> Newest | None:
        """Return a job's newest attempt, 0 before the first; None if there is no such job."""

    async def update(self, old: Job, new: Job, outgoing: Outgoing) -> bool:
        """Store a change if the job still is as `old` says (status, attempt, revision); else False."""

    async def share(self, job_id: str, shares: Shares) -> bool:
        """Set with whom a job is shared, and nothing else of it; False if there is none."""

    async def delete(self, job_id: str) -> bool:
        """Remove an ended job and the idempotency keys that name it; False if there is none."""

    async def page(self, which: JobFilter, *, limit: int, before: str | None) -> list[Job]:
        """Return up to `limit` jobs, newest first, with ids below `before`; unreadable ones are left out."""

    def unfinished(self) -> AsyncIterator[JobHead]:
        """Yield every job that is queued or running: first all queued ones, then all running ones.

        In this order none that is started meanwhile is missed; it may be told twice.
        """

    async def ahead(self, job: Job) -> int:
        """Count the owner's queued jobs that go before this one."""

    async def ended_before(self, moment: datetime, *, limit: int) -> list[str]:
        """Return the ids of up to `limit` jobs that ended before a moment."""

    async def forget_keys(self, before: datetime) -> None:
        """Remove idempotency keys that were bound before a moment."""

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Store what the dispatcher knows, for every replica to answer from."""

    async def snapshot(self) -> Snapshot | None:
        """Return the newest stored snapshot."""

    async def claim_key(
        self, owner: str, key: str, *, job_id: str, fingerprint: str, now: datetime
    ) -> tuple[str, str]:
        """Bind an idempotency key to a job unless it is bound; return (job id, fingerprint) it has."""

    async def sent(self, outgoing: Sequence[Outgoing]) -> None:
        """Empty these outboxes, as far as no later change has replaced them."""

    async def unsent(self, *, before: datetime, after: datetime, limit: int) -> list[Outgoing]:
        """Return outboxes of changes before `before`, or after `after`: whose clock was wrong."""


READ_BYTES = 256 << 10
"""A page of outputs ends at about this much data: it travels in one message."""


class OutputStore(Protocol):
    """The history of outputs, in buckets as they arrived."""

    async def add(self, batch: JobOutput) -> None:
        """Store a batch; one with the same job, attempt and first number changes nothing."""

    async def read(self, job_id: str, attempt: int, *, after: int, limit: int) -> list[Output]:
        """Return outputs from number `after` + 1 on, without a gap, at most `limit` or `READ_BYTES`."""

    async def delete(self, job_id: str) -> None:
        """Remove all outputs of a job."""
