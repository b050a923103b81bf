"""Facts that services publish, and the orders the scheduler gives to one executor.

| message | producer | consumers |
|---|---|---|
| `JobSubmitted` | scheduler (outbox) | the dispatching scheduler |
| `CancelRequested` | scheduler (outbox) | the dispatching scheduler |
| `AttemptFinished` | executor | the dispatching scheduler |
| `Heartbeat` | executor | the dispatching scheduler |
| `JobChanged` | scheduler (outbox) | gateways with a listener for the job |
| `JobEnded` | scheduler (outbox) | one of the gateways, once any webhook was made |
| `JobOutput` | executor | history in the scheduler; gateways with a listener for the job |
| `RunAttempt`, `CancelAttempt` | the dispatching scheduler | one executor |
| `DrainExecutor` | gateway, for an administrator | one executor |
| `BuildVersion` | registry | one of the executors that take its kind |
| `BuildProgress`, `VersionBuilt` | executor | registry |
"""

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from qrt_contracts.faults import Problem
from qrt_contracts.jobs import JobSummary
from qrt_contracts.message import Exchange, Message, Value
from qrt_contracts.states import JobState
from qrt_contracts.values import (
    BackendInfo,
    Isolation,
    Output,
    OutputFile,
    Payload,
    ProgramKind,
    Resources,
    RunSpec,
    SkippedFile,
    Usage,
)


class Event(Message):
    """A fact; any number of readers."""

    exchange: ClassVar[Exchange] = Exchange.EVENTS


class JobSubmitted(Event):
    """A job was stored as QUEUED."""

    schema_name: ClassVar[str] = "job.submitted"
    job_id: str
    owner: str
    program_id: str
    priority: int = 0
    max_running: int | None = None
    kind: ProgramKind = ProgramKind.QUAFU
    resources: Resources = Resources()
    environment: str | None = None
    """The key of its environment, if it has one that was resolved."""

    @override
    def routing_key(self) -> str:
        return f"job.{self.job_id}.submitted"


class CancelRequested(Event):
    """The owner of a job asked for its end."""

    schema_name: ClassVar[str] = "job.cancel_requested"
    job_id: str

    @override
    def routing_key(self) -> str:
        return f"job.{self.job_id}.cancel"


class AttemptFinished(Event):
    """An attempt has ended and every process of it is dead.

    `last_output` is the number of its last output, all of which were published before this.
    """

    schema_name: ClassVar[str] = "job.attempt_finished"
    job_id: str
    attempt: int
    executor: str
    incarnation: str
    end: Literal["succeeded", "failed", "cancelled", "refused"]
    """`refused`: the executor did not start it (draining, no slot); it counts as no attempt."""
    result: Payload | None = None
    problem: Problem | None = None
    last_output: int = 0
    started_at: datetime
    ended_at: datetime
    isolation: Isolation | None = None
    usage: Usage | None = None
    partial: bool = False
    """A limit ended it: its logs, interim results and files are what it had produced until then."""
    files: tuple[OutputFile, ...] = ()
    """What it left in its output directory, sorted by name."""
    skipped_files: tuple[SkippedFile, ...] = ()

    @override
    def routing_key(self) -> str:
        return f"job.{self.job_id}.finished"


class RunningAttempt(Value):
    """An attempt that an executor has accepted and whose end it has not yet reported."""

    job_id: str
    attempt: int


class Heartbeat(Event):
    """An executor is alive, and this is what it runs. Sent every 2 s, and when what it takes changes."""

    schema_name: ClassVar[str] = "executor.heartbeat"
    must_arrive: ClassVar[bool] = False
    expires_seconds: ClassVar[float | None] = 10.0

    executor: str
    """Its name: stable over restarts where the operator or the host makes it so."""
    incarnation: str
    """New at each start: what an earlier incarnation ran is lost."""
    slots: int = Field(ge=0)
    """Attempts it takes at once; 0 while it refuses work."""
    running: tuple[RunningAttempt, ...] = ()
    isolation: Isolation
    kinds: tuple[ProgramKind, ...] = (ProgramKind.QUAFU,)
    """Programs it can run: CONTAINER only where it has an engine."""
    backends: tuple[BackendInfo, ...] = ()
    warm_environments: tuple[str, ...] = ()
    """Keys (`EnvironmentSpec.key`) of the environments in which a job starts at once."""
    cpus: float | None = None
    memory_bytes: int | None = None
    gpus: int = 0
    gpu_type: str | None = None
    draining: bool = False
    leaving: bool = False
    """The last heartbeat of this incarnation: it has stopped."""

    @override
    def routing_key(self) -> str:
        return f"executor.{self.executor}.heartbeat"


class JobChanged(Event):
    """A job is now in this state. `attempt` and `last_output` tell a listener what to expect."""

    schema_name: ClassVar[str] = "job.changed"
    must_arrive: ClassVar[bool] = False  # a listener that missed it asks; see gateway live.py

    job_id: str
    status: JobState
    attempt: int
    last_output: int = 0
    problem: Problem | None = None
    owner: str = ""
    """Whose job it is, for listeners to all jobs of one owner."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: Payload | None = None
    """The result of a job that has SUCCEEDED, if it is small: who waits for it need not ask again."""

    @override
    def routing_key(self) -> str:
        return f"job.{self.job_id}.state"


class JobEnded(Event):
    """A job has ended: what webhooks are told. It may come twice."""

    schema_name: ClassVar[str] = "job.ended"
    job: JobSummary

    @override
    def routing_key(self) -> str:
        return f"job.{self.job.id}.ended"


class JobOutput(Event):
    """Consecutive outputs of one attempt, in order."""

    schema_name: ClassVar[str] = "job.output"
    job_id: str
    attempt: int
    outputs: tuple[Output, ...] = Field(min_length=1)

    @override
    def routing_key(self) -> str:
        return f"job.{self.job_id}.output"


class Work(Message):
    """An order to one executor incarnation."""

    exchange: ClassVar[Exchange] = Exchange.WORK
    executor: str
    incarnation: str

    @override
    def routing_key(self) -> str:
        return work_queue(self.executor, self.incarnation)


def work_queue(executor: str, incarnation: str) -> str:
    """Return the name of the queue, and its routing key, that orders for an executor go to."""
    return f"work.{executor}.{incarnation}"


class RunAttempt(Work):
    """Run this attempt of a job. Acknowledged once accepted, not when the job ends."""

    schema_name: ClassVar[str] = "work.run_attempt"
    job_id: str
    attempt: int
    owner: str
    run: RunSpec
    input: Payload
    confidential: str | None = None
    """A sealed `Confidential`."""


class CancelAttempt(Work):
    """End this attempt: SIGTERM, a grace, then SIGKILL of everything it started."""

    schema_name: ClassVar[str] = "work.cancel_attempt"
    job_id: str
    attempt: int


class DrainExecutor(Work):
    """Take no new attempts, and let those end that run; or take attempts again.

    It holds until the executor ends: one that is started again takes attempts.
    """

    schema_name: ClassVar[str] = "work.drain_executor"
    draining: bool


def builds_queue(kind: ProgramKind) -> str:
    """Return the durable queue of builds for programs of a kind, and its routing key.

    Each executor that runs such programs consumes it: any of them takes the next build. It is there once
    the first of them has been.
    """
    return f"work.builds.{kind.value}"


def durable_queues() -> tuple[str, ...]:
    """Return every queue that outlives its consumers: what may have dead letters of its own."""
    builds = map(builds_queue, ProgramKind)
    return ("scheduler.dispatch", "scheduler.history", "registry.builds", "gateway.job-ends", *builds)


class BuildVersion(Message):
    """Make what a version's jobs need: its environment or image, and its signature.

    Nothing waits for it: a job of a version that is not built builds what it needs itself. It may be
    repeated: who builds it already, or has built it, says so again by `VersionBuilt`. It is ordered again
    when nothing was heard of it for two minutes, and when it ended with a problem that is `retryable`.
    It is acknowledged once its `VersionBuilt` is published: the build of an executor that dies or stops
    is begun again by another one.
    """

    exchange: ClassVar[Exchange] = Exchange.WORK
    schema_name: ClassVar[str] = "work.build_version"
    run: RunSpec

    @override
    def routing_key(self) -> str:
        return builds_queue(self.run.kind)


class BuildProgress(Event):
    """Lines of a build's log. `first` is the number of the first one, counted from 1.

    Who builds says something when it begins, and at least once a minute. Lines of a repeated build count
    from 1 again; the registry keeps the first line of each number.
    """

    schema_name: ClassVar[str] = "program.build_progress"
    program_id: str
    version: int
    first: int = Field(ge=1)
    lines: tuple[str, ...] = Field(min_length=1)

    @override
    def routing_key(self) -> str:
        return f"program.{self.program_id}.build"


class VersionBuilt(Event):
    """A build has ended; `problem` says why it failed. All its `BuildProgress` was published before."""

    schema_name: ClassVar[str] = "program.version_built"
    program_id: str
    version: int
    problem: Problem | None = None
    lock: Payload | None = None
    """Of its environment, where it has one."""
    signature: Payload | None = None
    """A `Signature`, as JSON; None where the program does not tell."""
    image: str | None = None
    """Of a CONTAINER: the id of the image that was built, or `name@sha256:…` of one that was named."""
    last_line: int = 0
    started_at: datetime
    ended_at: datetime

    @override
    def routing_key(self) -> str:
        return f"program.{self.program_id}.built"
