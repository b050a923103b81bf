"""Requests between services and their replies.

`caller` is the account on whose behalf a command is sent: the owner of what it creates, and the
one whose view decides what it may see, together with its `rights`. The gateway authenticates it and
knows its rights; nobody else re-checks who it is, and who keeps a thing decides who may see it.
"""

from datetime import datetime
from typing import ClassVar, Generic

from pydantic import Field

from qrt_contracts.jobs import Job, QueuePlace
from qrt_contracts.message import Command, Done, Reply, Value
from qrt_contracts.rights import NO_RIGHTS, JobScope, ProgramScope, Rights, Shares
from qrt_contracts.states import JobState
from qrt_contracts.values import (
    Artifact,
    Build,
    LimitOverrides,
    Output,
    OutputKind,
    Payload,
    Program,
    ProgramKind,
    Quota,
    Resources,
    RunSpec,
    Visibility,
)

__all__ = [
    "AddVersion",
    "BuildLogPage",
    "CancelJob",
    "CreateProgram",
    "DeleteJob",
    "DeleteProgram",
    "Done",
    "GetJob",
    "GetProgram",
    "JobPage",
    "ListJobs",
    "ListPrograms",
    "ListVersions",
    "OutputPage",
    "ProgramFound",
    "ProgramPage",
    "ReadBuildLog",
    "ReadOutputs",
    "ResolveRun",
    "RunResolved",
    "ShareJob",
    "SubmitJob",
    "Submitted",
    "UpdateProgram",
    "VersionPage",
    "VersionSummary",
]


class RegistryCommand(Command[Reply], Generic[Reply]):
    """A command the registry answers."""

    service: ClassVar[str] = "registry"
    rights: Rights = NO_RIGHTS


class SchedulerCommand(Command[Reply], Generic[Reply]):
    """A command the scheduler answers."""

    service: ClassVar[str] = "scheduler"
    rights: Rights = NO_RIGHTS


# --- programs ---------------------------------------------------------------------------------


class ProgramFound(Value):
    """A program, and its newest version's source when it was asked for."""

    program: Program
    source: str | None = None


class CreateProgram(RegistryCommand[ProgramFound]):
    """Create a program with its first version.

    Raises: ProgramInvalid, NameTaken, InvalidRequest (the groups).
    `bundle` is already stored; `kind` says how to read it.
    """

    schema_name: ClassVar[str] = "registry.create_program"
    reply_type: ClassVar[type[Value]] = ProgramFound

    caller: str
    program_id: str
    """Chosen by the sender, so that a repeated command finds its own work done."""
    name: str | None
    """None: the name in a project's `planqk.json`."""
    bundle: Artifact
    """What was uploaded; the registry may store another form of it (a project's canonical zip)."""
    kind: ProgramKind | None = ProgramKind.QUAFU
    """None: whatever a project's `planqk.json` says; where it says nothing a TEMPLATE, or a CONTAINER if it
    has a Dockerfile and no `src/program.py`."""
    image: str | None = Field(default=None, max_length=512)
    """Only for a CONTAINER, in place of a Dockerfile; the bundle is empty then."""
    visibility: Visibility = Visibility.PRIVATE
    groups: tuple[str, ...] = ()
    description: str | None = None
    """None: the description in a project's `planqk.json`, if it has one."""
    backend: str | None = None
    group: str | None = None
    cost: float | None = None
    limits: LimitOverrides = LimitOverrides()
    max_attempts: int = Field(default=3, ge=1, le=20)
    quota: Quota = Quota()


class AddVersion(RegistryCommand[ProgramFound]):
    """Give a program a new version. The bundle of the newest version again changes nothing.

    Raises: NotFound, Forbidden, ProgramInvalid.
    """

    schema_name: ClassVar[str] = "registry.add_version"
    reply_type: ClassVar[type[Value]] = ProgramFound

    caller: str
    program_id: str
    bundle: Artifact
    image: str | None = Field(default=None, max_length=512)


class UpdateProgram(RegistryCommand[ProgramFound]):
    """Change what describes a program; what is None stays.

    Raises: NotFound, Forbidden (the caller may see it alone), NameTaken, InvalidRequest (the groups).
    """

    schema_name: ClassVar[str] = "registry.update_program"
    reply_type: ClassVar[type[Value]] = ProgramFound

    caller: str
    program_id: str
    name: str | None = None
    visibility: Visibility | None = None
    groups: tuple[str, ...] | None = None
    description: str | None = None
    backend: str | None = None
    group: str | None = None
    cost: float | None = None
    limits: LimitOverrides | None = None
    max_attempts: int | None = Field(default=None, ge=1, le=20)
    quota: Quota | None = None


class DeleteProgram(RegistryCommand[Done]):
    """Delete a program. Its jobs keep their own copy of what they ran. Raises: NotFound, Forbidden."""

    schema_name: ClassVar[str] = "registry.delete_program"
    reply_type: ClassVar[type[Value]] = Done

    caller: str
    program_id: str


class GetProgram(RegistryCommand[ProgramFound]):
    """Find a program by id, or by name among the caller's own. Raises: NotFound."""

    schema_name: ClassVar[str] = "registry.get_program"
    reply_type: ClassVar[type[Value]] = ProgramFound

    caller: str
    program_id: str | None = None
    name: str | None = None
    with_source: bool = False


class ProgramPage(Value):
    """A page of programs, newest first; `next_cursor` is None on the last."""

    programs: tuple[Program, ...]
    next_cursor: str | None = None
    total: int


class ListPrograms(RegistryCommand[ProgramPage]):
    """List the caller's own programs, or those of a scope. Raises: Forbidden (for `all`)."""

    schema_name: ClassVar[str] = "registry.list_programs"
    reply_type: ClassVar[type[Value]] = ProgramPage

    caller: str
    scope: ProgramScope = ProgramScope.OWN
    name: str | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = None


class VersionSummary(Value):
    """One version of a program, as a list of them shows it."""

    number: int
    kind: ProgramKind
    bundle: Artifact
    """Its sha256 and size are those of the stored form: a project's canonical zip."""
    created_at: datetime
    build: Build
    image: str | None = None
    built_image: str | None = None
    resources: Resources = Resources()


class VersionPage(Value):
    """A page of versions, newest first; `next_cursor` is None on the last."""

    versions: tuple[VersionSummary, ...]
    next_cursor: str | None = None
    total: int


class ListVersions(RegistryCommand[VersionPage]):
    """List the versions of a program that the caller may see. Raises: NotFound."""

    schema_name: ClassVar[str] = "registry.list_versions"
    reply_type: ClassVar[type[Value]] = VersionPage

    caller: str
    program_id: str
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, pattern=r"^[1-9][0-9]{0,8}$")


class BuildLogPage(Value):
    """Lines of a version's build, in order."""

    lines: tuple[str, ...] = ()
    last: int = 0
    """Number of the last line told here, counted from 1; go on with `after=last`."""
    complete: bool = False
    """The build has ended and nothing follows."""
    build: Build = Build()
    """Of the version, when this was read."""


class ReadBuildLog(RegistryCommand[BuildLogPage]):
    """Read lines of a version's build from `after` + 1 on. Raises: NotFound.

    While the build runs and there is nothing new, the answer waits up to `wait_seconds`.
    """

    schema_name: ClassVar[str] = "registry.read_build_log"
    reply_type: ClassVar[type[Value]] = BuildLogPage

    caller: str
    program_id: str
    version: int | None = Field(default=None, ge=1)
    """None is the newest."""
    after: int = Field(default=0, ge=0)
    wait_seconds: float = Field(default=0, ge=0, le=25)


class RunResolved(Value):
    """What a job will run."""

    run: RunSpec
    signature: Payload | None = None
    """A `Signature`, as JSON, if it is known: what the input can be checked against."""


class ResolveRun(RegistryCommand[RunResolved]):
    """Find what running a program now means: version, bundle, limits. Raises: NotFound."""

    schema_name: ClassVar[str] = "registry.resolve_run"
    reply_type: ClassVar[type[Value]] = RunResolved

    caller: str
    program_id: str | None = None
    name: str | None = None
    version: int | None = Field(default=None, ge=1)
    """None is the newest."""


# --- jobs -------------------------------------------------------------------------------------


class Submitted(Value):
    """The job that a submission made; `repeated` if an earlier submission had made it."""

    job: Job
    repeated: bool = False
    place: QueuePlace | None = None
    """Where a queued job stands; only `GetJob` says it, when asked to."""


class SubmitJob(SchedulerCommand[Submitted]):
    """Queue a job. Once this is answered, the job is never lost.

    Raises: Conflict (the idempotency key was used with another request), Overloaded, Unrunnable.
    """

    schema_name: ClassVar[str] = "scheduler.submit_job"
    reply_type: ClassVar[type[Value]] = Submitted

    caller: str
    job_id: str
    """Chosen by the sender, so that a repeated command finds its own work done."""
    run: RunSpec
    input: Payload
    priority: int = Field(default=0, ge=-100, le=100)
    tags: tuple[str, ...] = Field(default=(), max_length=64)
    confidential: str | None = None
    """A sealed `Confidential`."""
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=255)
    fingerprint: str | None = None
    """What must be equal for two submissions with one idempotency key to be the same."""


class GetJob(SchedulerCommand[Submitted]):
    """Find a job that the caller may see. Raises: NotFound."""

    schema_name: ClassVar[str] = "scheduler.get_job"
    reply_type: ClassVar[type[Value]] = Submitted

    caller: str
    job_id: str
    place: bool = False
    """Say where it stands if it is queued, which takes counting those before it."""


class JobPage(Value):
    """A page of jobs, newest first; `next_cursor` is None on the last."""

    jobs: tuple[Job, ...]
    next_cursor: str | None = None


class ListJobs(SchedulerCommand[JobPage]):
    """List the caller's jobs, or those of a scope. Raises: Forbidden (for `all`)."""

    schema_name: ClassVar[str] = "scheduler.list_jobs"
    reply_type: ClassVar[type[Value]] = JobPage

    caller: str
    scope: JobScope = JobScope.ME
    program_id: str | None = None
    status: JobState | None = None
    tag: str | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = None


class CancelJob(SchedulerCommand[Submitted]):
    """Ask for a job's end. A queued job ends at once, a running one when its program is dead.

    Cancelling a job that has ended changes nothing; the reply shows how it ended.
    Raises: NotFound, Forbidden (the caller may only read it).
    """

    schema_name: ClassVar[str] = "scheduler.cancel_job"
    reply_type: ClassVar[type[Value]] = Submitted

    caller: str
    job_id: str


class DeleteJob(SchedulerCommand[Done]):
    """Forget an ended job, its result and its outputs. Raises: NotFound, Forbidden, Conflict (not ended)."""

    schema_name: ClassVar[str] = "scheduler.delete_job"
    reply_type: ClassVar[type[Value]] = Done

    caller: str
    job_id: str


class ShareJob(SchedulerCommand[Submitted]):
    """Set with whom a job is shared, in place of what was set before.

    Raises: NotFound, Forbidden (the caller may only read it), InvalidRequest (a group it is not in).
    """

    schema_name: ClassVar[str] = "scheduler.share_job"
    reply_type: ClassVar[type[Value]] = Submitted

    caller: str
    job_id: str
    shares: Shares


class OutputPage(Value):
    """Some outputs of one attempt, in order.

    `attempt` is the newest, and may be newer than the one asked for: its numbers start anew.
    `complete` says that nothing after these will ever come: the job has ended and its last output
    is among or before them.
    """

    attempt: int
    status: JobState
    outputs: tuple[Output, ...] = ()
    last: int = 0
    """Everything up to this number is told here or was asked past: go on with `after=last`."""
    complete: bool = False


class ReadOutputs(SchedulerCommand[OutputPage]):
    """Read stored outputs of a job's newest attempt, oldest first, from number `after` + 1.

    `reach` is a number the caller knows to exist (it has seen a later one live): the reply waits,
    within the command's deadline, until that much is stored. For an ended job it waits likewise
    for the last output. `after` is ignored if `attempt` is not the newest. Raises: NotFound.
    """

    schema_name: ClassVar[str] = "scheduler.read_outputs"
    reply_type: ClassVar[type[Value]] = OutputPage

    caller: str
    job_id: str
    attempt: int = 0
    after: int = Field(default=0, ge=0)
    reach: int = Field(default=0, ge=0)
    kind: OutputKind | None = None
    limit: int = Field(default=1000, ge=1, le=10_000)
