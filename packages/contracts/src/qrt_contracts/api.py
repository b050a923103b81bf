"""The native HTTP and WebSocket surface as data: what clients send and what they get.

Requests refuse unknown fields; replies may grow fields. Times are RFC 3339 in UTC. The gateway
serves these shapes, the SDK parses them, and OpenAPI is derived from them.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from qrt_contracts.faults import FieldError, Problem
from qrt_contracts.jobs import Attempt, Job, QueuePlace
from qrt_contracts.rights import NO_SHARES, Shares
from qrt_contracts.states import JobState
from qrt_contracts.values import (
    Circuit,
    Isolation,
    Limits,
    Output,
    OutputFile,
    SkippedFile,
    Usage,
)

MAX_WAIT_SECONDS = 55
"""The longest a result request may wait: under the minute after which proxies give up."""


class _Request(BaseModel):
    # What was wrong may be a secret: no error shows it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _View(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ProblemDocument(_View):
    """The body of every refusal (RFC 9457), as `application/problem+json`; what has no value is left out."""

    type: str
    title: str
    """One line that is the same for every occurrence."""
    status: int
    detail: str
    """What is wrong this time, and often what to do."""
    code: str
    """Stable, for machines; docs/errors.md lists them."""
    retryable: bool
    """The same request can succeed later."""
    field: str | None = None
    """The field at fault."""
    errors: tuple[FieldError, ...] | None = None
    """Everything at fault, by JSON pointers into the body."""
    traceback: str | None = None
    """Of a user's program."""
    retry_after_seconds: float | None = None
    request_id: str | None = None
    """To be found in the runtime's log."""


# --- jobs -------------------------------------------------------------------------------------


_Tag = Annotated[
    str, Field(json_schema_extra={"minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f]+$"})
]
_Secret = Annotated[str, Field(json_schema_extra={"minLength": 1, "pattern": r"^[^\x00]+$"})]
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_. -]{0,63}$"


class SubmitRequest(_Request):
    """`POST /v1/jobs`. Name the program by id, or by name among your own.

    The header `Idempotency-Key` makes a repeated submission answer with the first one's job.
    """

    program_id: str | None = Field(
        default=None, json_schema_extra={"description": "32 hexadecimal digits; dashes are taken too."}
    )
    program_name: str | None = None
    version: int | None = Field(default=None, ge=1)
    input: Any = None
    priority: int = Field(default=0, ge=-100, le=100)
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    """Fixes what the simulator samples for the job's circuits."""
    tags: tuple[_Tag, ...] = Field(default=(), max_length=64)
    """Words to find the job by, each of 1 to 256 characters."""
    secrets: dict[str, _Secret] | None = Field(
        default=None, repr=False, json_schema_extra={"propertyNames": {"pattern": _VARIABLE}}
    )
    """What only the program may read: `ibmToken` is told to it as the environment variable SECRET_IBM_TOKEN.

    The input of a service program may hold both as `$tags` and `$secrets` instead.
    """

    @model_validator(mode="after")
    def _names_one_program(self) -> Self:
        if (self.program_id is None) == (self.program_name is None):
            raise ValueError("give either program_id or program_name")
        return self


class JobProgram(_View):
    """What a job runs: fixed at submission, whatever becomes of the program later."""

    id: str
    name: str
    version: int
    digest: str
    """sha256 of the bundle."""


class JobView(_View):
    """A job."""

    id: str
    owner: str
    program: JobProgram
    status: JobState
    attempt: int
    attempts: tuple[Attempt, ...]
    cancel_requested: bool
    problem: Problem | None
    """Why the job FAILED or was CANCELLED."""
    priority: int
    tags: tuple[str, ...] = ()
    seed: int | None = None
    """What fixes the samples of its circuits, if that was given."""
    backend: str | None
    limits: Limits
    last_output: int
    queue: QueuePlace | None = None
    """Where the job stands while it is QUEUED; only `GET /v1/jobs/{id}` tells."""
    isolation: Isolation | None
    usage: Usage | None
    partial: bool = False
    """A limit ended the job: its logs, interim results and files are what there was until then."""
    files: tuple[OutputFile, ...] = ()
    """What it left in its output directory; their contents are at `/v1/jobs/{id}/files/{name}`."""
    skipped_files: tuple[SkippedFile, ...] = ()
    """What was left there besides and not kept, with the reasons."""
    shares: Shares = NO_SHARES
    """Who may read it besides its owner."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, job: Job, *, place: QueuePlace | None = None) -> Self:
        """Return what a job's owner may see of it: all but its input and result."""
        newest = job.newest
        return cls(
            id=job.id,
            owner=job.owner,
            program=JobProgram(
                id=job.run.program_id,
                name=job.run.program_name,
                version=job.run.version,
                digest=job.run.bundle.sha256,
            ),
            status=job.status,
            attempt=job.attempt,
            attempts=job.attempts,
            cancel_requested=job.cancel_requested,
            problem=job.problem,
            priority=job.priority,
            tags=job.tags,
            seed=job.run.seed,
            backend=job.run.backend,
            limits=job.run.limits,
            last_output=job.last_output,
            queue=place,
            isolation=newest.isolation if newest else None,
            usage=newest.usage if newest else None,
            partial=job.partial,
            files=job.files,
            skipped_files=job.skipped_files,
            shares=job.shares,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
        )


class FileList(_View):
    """`GET /v1/jobs/{id}/files`: what the job left in its output directory, once it has ended."""

    job_id: str
    files: tuple[OutputFile, ...]
    skipped_files: tuple[SkippedFile, ...]


class JobList(_View):
    """`GET /v1/jobs`, newest first. `next_cursor` is null on the last page."""

    jobs: tuple[JobView, ...]
    next_cursor: str | None


class InputView(_View):
    """`GET /v1/jobs/{id}/input`: what the job was given, without its secrets; it may be submitted again."""

    job_id: str
    input: Any = None


class ResultView(_View):
    """`GET /v1/jobs/{id}/result?wait=seconds`.

    Answers as soon as the job has ended, or with its present state when `wait` (at most
    `MAX_WAIT_SECONDS`, default 0) is over. `result` is the program's return value; `problem` says
    why there is none.
    """

    job_id: str
    status: JobState
    result: Any = None
    problem: Problem | None = None
    ended_at: datetime | None = None


class OutputsView(_View):
    """`GET /v1/jobs/{id}/outputs?after=&attempt=&kind=&limit=`: outputs of the newest attempt.

    When `attempt` in the answer is not the one asked about, a new attempt has begun and numbers
    start anew. `last` is where to go on (`after=last`), also when `kind` filtered everything away.
    `complete`: the job has ended and nothing follows.
    """

    job_id: str
    attempt: int
    status: JobState
    outputs: tuple[Output, ...]
    last: int
    complete: bool


class CircuitList(_View):
    """`GET /v1/jobs/{id}/circuits?after=&limit=`: circuits of the newest attempt, in the order they ended.

    Go on with `after=last`, and ask about the same job, until `complete`.
    """

    job_id: str
    attempt: int
    circuits: tuple[Circuit, ...]
    last: int
    complete: bool


# --- frames of WS /v1/jobs/{id}/stream?after=N&attempt=A -----------------------------------------


class StateFrame(_View):
    """The job is in this state now."""

    type: Literal["state"] = "state"
    job_id: str
    status: JobState
    attempt: int


class AttemptFrame(_View):
    """Outputs that follow are of this attempt; their numbers start at 1."""

    type: Literal["attempt"] = "attempt"
    job_id: str
    attempt: int


class OutputsFrame(_View):
    """Consecutive outputs, each number one above the one before it."""

    type: Literal["outputs"] = "outputs"
    job_id: str
    attempt: int
    outputs: tuple[Output, ...]


class EndFrame(_View):
    """The job has ended and every output has been sent; the server closes with 1000 after it."""

    type: Literal["end"] = "end"
    job_id: str
    status: JobState
    attempt: int
    last_output: int
    problem: Problem | None = None


class ErrorFrame(_View):
    """The stream cannot go on; the server closes with 1008 (refused) or 1011 (try again).

    On a connection for many jobs, `job_id` names the one that is not followed any more; without it, a
    frame of the client was refused. The connection stands either way.
    """

    type: Literal["error"] = "error"
    job_id: str | None = None
    problem: Problem


class SubscribedFrame(_View):
    """`all`: states of all the caller's jobs are told from now on."""

    type: Literal["subscribed"] = "subscribed"
    all: bool = True


class UnsubscribedFrame(_View):
    """Nothing more of this job follows, or, with `all`, no states of other jobs."""

    type: Literal["unsubscribed"] = "unsubscribed"
    job_id: str | None = None
    all: bool = False


Frame = Annotated[
    StateFrame | AttemptFrame | OutputsFrame | EndFrame | ErrorFrame | SubscribedFrame | UnsubscribedFrame,
    Field(discriminator="type"),
]
"""Any frame the server sends. Readers skip frames whose type they do not know."""


# --- frames that clients send to WS /v1/stream ---------------------------------------------------

MAX_SUBSCRIPTIONS = 100
"""Jobs that one connection follows at a time."""


class Subscribe(_Request):
    """Follow one job, from output `after` + 1 of an attempt on, or the states of all the caller's jobs.

    No `attempt` is the newest. With `all`, `outputs` follows each job that is running or starts to.
    """

    type: Literal["subscribe"]
    job_id: str | None = None
    attempt: int | None = Field(default=None, ge=0)
    after: int = Field(default=0, ge=0)
    all: bool = False
    outputs: bool = False

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if (self.job_id is None) != self.all:
            raise ValueError("give either job_id or all")
        if self.outputs and not self.all:
            raise ValueError("outputs goes with all: those of one job always come")
        return self


class Unsubscribe(_Request):
    """Follow a job no more, or, with `all`, no more states of jobs that are not followed."""

    type: Literal["unsubscribe"]
    job_id: str | None = None
    all: bool = False

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if (self.job_id is None) != self.all:
            raise ValueError("give either job_id or all")
        return self


ClientFrame = Annotated[Subscribe | Unsubscribe, Field(discriminator="type")]
"""Any frame a client sends."""
