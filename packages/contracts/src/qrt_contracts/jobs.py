"""A job as its owner and the other services see it."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field

from qrt_contracts.faults import Problem
from qrt_contracts.message import Value
from qrt_contracts.rights import NO_SHARES, Shares
from qrt_contracts.states import JobState
from qrt_contracts.values import Isolation, OutputFile, Payload, RunSpec, SkippedFile, Usage


class AttemptEnd(StrEnum):
    """How one attempt of a job came to its end."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    REFUSED = "refused"
    """The executor never started it: it counts as no attempt."""


class Attempt(Value):
    """One dispatch of a job to one executor. `number` counts from 1 and is the fence."""

    number: int = Field(ge=1)
    executor: str
    incarnation: str
    started_at: datetime
    ended_at: datetime | None = None
    end: AttemptEnd | None = None
    reason: str | None = None
    isolation: Isolation | None = None
    usage: Usage | None = None
    last_output: int = 0
    """Number of the attempt's last output; meaningful once `end` is set."""


class QueuePlace(Value):
    """Where a queued job stands, as the dispatcher saw it a moment ago. An estimate, not a promise."""

    position: int = Field(ge=1)
    """1 is next."""
    reason: str
    """Why the job has not been started yet."""
    estimated_start: datetime | None = None
    """From the measured run times of recent jobs; None while there are none."""


class Job(Value):
    """One requested run of one program version with one input."""

    id: str
    owner: str
    run: RunSpec
    input: Payload
    status: JobState
    attempt: int = Field(ge=0)
    """Number of the newest attempt; 0 while none was started."""
    attempts: tuple[Attempt, ...] = ()
    cancel_requested: bool = False
    problem: Problem | None = None
    """Why the job FAILED or was CANCELLED; None otherwise."""
    result: Payload | None = None
    """What the program returned; only for SUCCEEDED."""
    last_output: int = 0
    """Number of the last output of the newest attempt, once the job has ended."""
    partial: bool = False
    """A limit ended the job: its logs, interim results and files are what there was until then."""
    files: tuple[OutputFile, ...] = ()
    """What the attempt that ended the job left in its output directory."""
    skipped_files: tuple[SkippedFile, ...] = ()
    priority: int = 0
    tags: tuple[str, ...] = ()
    confidential: str | None = None
    """A sealed `Confidential`; gone once the job has ended."""
    shares: Shares = NO_SHARES
    """Who may read it besides its owner."""
    revision: int = 0
    """Counts stored changes: with status and attempt, what a writer must have seen to write."""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def environment_key(self) -> str | None:
        """What heartbeats call the environment it runs in; None where none was resolved."""
        return self.run.environment.key if self.run.environment else None

    @property
    def newest(self) -> Attempt | None:
        """The newest attempt, None before the first."""
        return self.attempts[-1] if self.attempts else None


class JobSummary(Value):
    """What the news of a job's end tells of it: neither its input nor its result, and nothing unbounded."""

    id: str
    owner: str
    program_id: str
    program_name: str
    version: int
    status: JobState
    attempt: int
    problem: Problem | None = None
    partial: bool = False
    priority: int = 0
    tags: tuple[str, ...] = ()
    backend: str | None = None
    last_output: int = 0
    usage: Usage | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the summary of a job."""
        return cls(
            id=job.id,
            owner=job.owner,
            program_id=job.run.program_id,
            program_name=job.run.program_name,
            version=job.run.version,
            status=job.status,
            attempt=job.attempt,
            problem=job.problem,
            partial=job.partial,
            priority=job.priority,
            tags=job.tags,
            backend=job.run.backend,
            last_output=job.last_output,
            usage=job.newest.usage if job.newest else None,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
        )
