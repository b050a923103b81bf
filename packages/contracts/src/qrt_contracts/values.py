"""The value types that several services share: programs, versions, limits, payloads, outputs."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from qrt_contracts.faults import Problem
from qrt_contracts.message import Value

INLINE_BYTES = 256 * 1024
"""A payload up to this many bytes travels in its message; a larger one is an artifact."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Artifact(Value):
    """An immutable blob, addressed by the sha256 of its content; `size` in bytes."""

    sha256: Sha256
    size: int = Field(ge=0)


class Payload(Value):
    """A JSON document: its text if it is small, the artifact that holds the text otherwise.

    It stays text on its way, so that no hop re-encodes a user's numbers, keys or NUL characters.
    """

    text: str | None = None
    artifact: Artifact | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.text is None) == (self.artifact is None):
            raise ValueError("a payload is either text or an artifact")
        return self

    @property
    def size(self) -> int:
        """Bytes of the JSON text in UTF-8."""
        if self.artifact is not None:
            return self.artifact.size
        return len((self.text or "").encode())


class ProgramKind(StrEnum):
    """Which interface a program is written for."""

    QUAFU = "quafu"
    """One Python source with `run(task, userpub, params)`."""
    TEMPLATE = "template"
    """A Python project, as a zip: `run` in `src/program.py` takes the input's properties as arguments."""
    CONTAINER = "container"
    """A one-shot container: a zip with a Dockerfile, or the name of an image."""


class Visibility(StrEnum):
    """Who may see and run a program besides its owner."""

    PRIVATE = "private"
    GROUP = "group"
    """The members of the program's `groups`."""
    PUBLIC = "public"


class Limits(Value):
    """What one attempt may use. Defaults are for a program that asks for nothing else."""

    wall_seconds: float = Field(default=3600, gt=0, le=30 * 86400)
    cpu_seconds: float = Field(default=3600, gt=0, le=30 * 86400)
    memory_bytes: int = Field(default=1 << 30, ge=64 << 20)
    processes: int = Field(default=64, ge=1, le=4096)
    open_files: int = Field(default=1024, ge=32, le=65536)
    file_bytes: int = Field(default=256 << 20, ge=1 << 20)
    """The largest single file a program may write."""
    disk_bytes: int = Field(default=256 << 20, ge=1 << 20)
    """Working directory, output directory and /tmp, each."""
    log_bytes: int = Field(default=16 << 20, ge=1024)
    """Kept log text. What a program prints beyond it is dropped and counted, not an error."""
    interim_bytes: int = Field(default=64 << 20, ge=1024)
    interim_count: int = Field(default=1_000_000, ge=1)
    message_bytes: int = Field(default=4 << 20, ge=1024)
    """One interim result."""
    result_bytes: int = Field(default=64 << 20, ge=1024)


class LimitOverrides(Value):
    """The limits a program sets for itself; None keeps the default."""

    wall_seconds: float | None = Field(default=None, gt=0, le=30 * 86400)
    cpu_seconds: float | None = Field(default=None, gt=0, le=30 * 86400)
    memory_bytes: int | None = Field(default=None, ge=64 << 20)
    processes: int | None = Field(default=None, ge=1, le=4096)
    open_files: int | None = Field(default=None, ge=32, le=65536)
    file_bytes: int | None = Field(default=None, ge=1 << 20)
    disk_bytes: int | None = Field(default=None, ge=1 << 20)
    log_bytes: int | None = Field(default=None, ge=1024)
    interim_bytes: int | None = Field(default=None, ge=1024)
    interim_count: int | None = Field(default=None, ge=1)
    message_bytes: int | None = Field(default=None, ge=1024)
    result_bytes: int | None = Field(default=None, ge=1024)

    def over(self, defaults: Limits) -> Limits:
        """Return `defaults` with what is set here in their place."""
        return defaults.model_copy(update=self.model_dump(exclude_none=True))


class Quota(Value):
    """How many jobs of one program there may be at once, over all owners; None is no limit."""

    running: int | None = Field(default=None, ge=1)
    queued: int | None = Field(default=None, ge=0)


class Resources(Value):
    """What an executor must have for a program, and gives it; None asks for nothing in particular."""

    cpus: float | None = Field(default=None, gt=0, le=1024)
    memory_bytes: int | None = Field(default=None, ge=64 << 20)
    gpus: int = Field(default=0, ge=0, le=64)
    gpu_type: str | None = None


class EnvironmentSpec(Value):
    """The packages a program needs besides the base of its kind.

    Two programs with the same `requirements` share what is built of them.
    """

    requirements: Payload
    """JSON array of requirement lines (PEP 508 and pip's options), normalised and sorted."""
    lock: Payload | None = None
    """JSON array of pinned lines with their hashes, once something has resolved them."""

    @property
    def key(self) -> str | None:
        """What heartbeats call the environment of this lock; None while there is none."""
        if self.lock is None:
            return None
        return self.lock.artifact.sha256 if self.lock.artifact else environment_key(self.lock.text or "")


def environment_key(lock: str) -> str:
    """Return what heartbeats call the environment of a lock, given as the JSON text that versions hold."""
    return hashlib.sha256(lock.encode()).hexdigest()


class BuildState(StrEnum):
    """How far a version has got before its first job."""

    READY = "ready"
    BUILDING = "building"
    FAILED = "failed"


class Build(Value):
    """What was made of a version when it was uploaded. Jobs are taken in any state of it."""

    state: BuildState = BuildState.READY
    problem: Problem | None = None
    """Why it FAILED."""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Version(Value):
    """One immutable upload of a program, numbered from 1, addressed by its bundle's sha256."""

    number: int = Field(ge=1)
    bundle: Artifact
    created_at: datetime
    build: Build = Build()
    environment: EnvironmentSpec | None = None
    image: str | None = None
    """Of a CONTAINER without a Dockerfile: what the engine pulls."""
    built_image: str | None = None
    """What a CONTAINER was when it was built: the id of its own image, or the digest that `image` stood for,
    which is what its jobs run from then on."""
    resources: Resources = Resources()
    signature: Payload | None = None
    """A `Signature`, as JSON, once it is known."""


class Program(Value):
    """A program and its newest version."""

    id: str
    owner: str
    name: str
    kind: ProgramKind = ProgramKind.QUAFU
    visibility: Visibility = Visibility.PRIVATE
    groups: tuple[str, ...] = ()
    """Whom it is shared with where its visibility is `group`; none otherwise."""
    description: str | None = None
    backend: str | None = None
    group: str | None = None
    """A word of its owner's, which says nothing about who may see it."""
    cost: float | None = None
    limits: LimitOverrides = LimitOverrides()
    max_attempts: int = Field(default=3, ge=1, le=20)
    quota: Quota = Quota()
    latest: Version
    created_at: datetime
    updated_at: datetime


class RunSpec(Value):
    """All that an executor must know of a program version to run it; a job records its own copy."""

    program_id: str
    program_name: str
    version: int
    kind: ProgramKind
    bundle: Artifact
    backend: str | None
    limits: Limits
    max_attempts: int
    quota: Quota = Quota()
    seed: int | None = None
    """Fixes what the simulator samples; None draws anew in each attempt."""
    environment: EnvironmentSpec | None = None
    image: str | None = None
    resources: Resources = Resources()


class Signature(Value):
    """What a program's `run` takes and gives, as JSON Schema (2020-12) documents."""

    input: dict[str, Any]
    """Of the input object, for people and clients."""
    check: dict[str, Any]
    """The same, open wherever the program's own code decides: what it refuses, the program refuses."""
    output: dict[str, Any] | None = None
    summary: str | None = None
    """First line of the docstring of `run`."""
    description: str | None = None
    """The rest of it."""


class Confidential(Value):
    """What a job carries that nobody may read: sealed on its way and at rest (`qrt_chassis.sealing`)."""

    secrets: dict[str, str] = Field(default_factory=dict)
    """By the names that the program sees, such as SECRET_IBM_TOKEN."""
    credentials: dict[str, str] = Field(default_factory=dict)
    """By the name of the backend they are for; never shown to a program."""


class BackendInfo(Value):
    """Where circuits can run."""

    name: str
    qubits: int
    """The most of one circuit."""
    gates: tuple[str, ...] = ()
    """Names of gates it takes; empty is whatever pyquafu can write as OpenQASM."""
    status: Literal["online", "offline"] = "online"
    queue: int = 0
    """Circuits that wait for it, as far as is known."""
    simulated: bool = False


class Circuit(Value):
    """A circuit that a program sent to a backend, once it has ended."""

    id: str
    """Counts from 1 within an attempt."""
    name: str = ""
    group: str = ""
    backend: str
    """Where it ran in truth, whatever name the program used."""
    qubits: int
    shots: int
    status: Literal["completed", "failed", "cancelled"]
    error: str | None = None
    sent_at: datetime
    ended_at: datetime


class OutputKind(StrEnum):
    """What an output is: something the program published, or something it wrote."""

    INTERIM = "interim"
    LOG = "log"
    CIRCUIT = "circuit"
    """The record of a circuit that the program sent to a backend and that has ended: a `Circuit`, as JSON."""


class Encoding(StrEnum):
    """How the text in `Output.data` stands for what the program gave."""

    TEXT = "text"
    """A `str`, as it is."""
    UTF8 = "utf8"
    """`bytes` that are valid UTF-8, decoded."""
    BASE64 = "base64"
    """Any other `bytes`."""
    JSON = "json"
    """A JSON document."""


class Output(Value):
    """One interim result, or one piece of log text with the line end it had.

    `number` counts from 1 within an attempt, without gaps, over both kinds together; the log is
    the concatenation of its pieces' `data`.
    """

    number: int = Field(ge=1)
    kind: OutputKind
    at: datetime
    stream: Literal["stdout", "stderr", "system"] | None = None
    """Where log text came from; `system` is the runtime's own remark. None for interim results."""
    encoding: Encoding = Encoding.TEXT
    data: str


class Usage(Value):
    """What an attempt used, as far as the executor could measure it."""

    wall_seconds: float
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    memory_by: Literal["cgroup", "watchdog"] | None = None
    """What held the memory limit: the kernel's control group, or the executor's repeated look."""


class OutputFile(Value):
    """A file that a program left in its output directory; the content is the artifact of that digest."""

    name: str
    """Path below the output directory, its parts separated by `/`."""
    size: int = Field(ge=0)
    """Bytes."""
    sha256: Sha256


class SkippedFile(Value):
    """Something in the output directory that was not kept, and why."""

    name: str
    """As far as it can be shown: what is not text in it is escaped."""
    reason: str


class Isolation(StrEnum):
    """What stands between a program and its executor's host, strongest first."""

    CONTAINER = "container"
    JAIL = "jail"
    LANDLOCK = "landlock"
    PROCESS = "process"
    """Separate processes of one user: no isolation from hostile code."""
