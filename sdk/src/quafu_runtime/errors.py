"""What this library raises on purpose.

    QuafuRuntimeError                       (ClientExceptions)
    |-- NoAccount                           (UserException)             no token was found, or it is malformed
    |-- Unreachable                         (RequestException)          the runtime gave no answer
    |-- InvalidReply                                                    an answer that is not the runtime's
    |-- RequestRefused                      (UploadException, UpdateException, RunFailedException)
    |   |-- InvalidRequest                  (ArgsException, InputValueException)
    |   |   |-- ProgramInvalid              (ProgramNotValidException)
    |   |   `-- Unrunnable                                                no executor runs such programs
    |   |-- NotAuthenticated                (CheckApiTokenError)
    |   |-- Forbidden                       (NotAuthorizedException)
    |   |-- NotFound
    |   |   |-- ProgramNotFound             (ProgramNotFoundException)
    |   |   `-- JobNotFound                 (JobNotFoundException)
    |   |-- Conflict
    |   |   `-- NameTaken                   (DuplicateProgramException)
    |   |-- TooLarge
    |   |-- Overloaded                                                  retry later
    |   `-- Unavailable                                                 retry later
    |-- InvalidState                        (RuntimeInvalidStateError)  not possible on this object now
    |-- StreamBroken                        (WebsocketError)            live outputs could not be resumed
    |-- JobTimeout, a TimeoutError          (RuntimeJobTimeoutError)    the job had not ended in time
    |-- BuildTimeout, a TimeoutError                                    a version was not built in time
    |-- BuildFailed                                                     a version cannot be built
    |-- WebhookRefused                                                  a request that is not the runtime's
    |-- SweepFailed                                                     jobs of a sweep have no result
    `-- JobNotSucceeded                                                 the job has no result
        |-- JobFailed
        `-- JobCancelled

In parentheses: the names by which users of the earlier Quafu Runtime client know them; both work.
`RequestRefused` has one class for each fault code of the runtime and carries the problem document.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

from qrt_contracts.faults import FieldError, Problem


class QuafuRuntimeError(Exception):
    """Root of everything this library raises on purpose."""


class NoAccount(QuafuRuntimeError):
    """No API token was given or found, or a token or an address is malformed."""


class Unreachable(QuafuRuntimeError):
    """The runtime did not answer: wrong address, not running, or the connection broke."""


class InvalidReply(QuafuRuntimeError):
    """Something answered that is not this runtime, or a version of it this library cannot read."""


class RequestRefused(QuafuRuntimeError):
    """A request was refused, by the runtime or before it was sent; `problem` says why."""

    code: ClassVar[str] = "Internal"
    title: ClassVar[str] = "The request was refused"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    @classmethod
    def because(cls, detail: str, *, field: str | None = None) -> Self:
        """Return the error for a request that was not sent."""
        return cls(Problem(code=cls.code, title=cls.title, detail=detail, field=field))

    @property
    def detail(self) -> str:
        """What was wrong this time."""
        return self.problem.detail

    @property
    def field(self) -> str | None:
        """The field of the request at fault, if it was one."""
        return self.problem.field

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """Every place in the request that is wrong, with a JSON pointer."""
        return self.problem.errors

    @property
    def retryable(self) -> bool:
        """Whether the same request can succeed later."""
        return self.problem.retryable

    def __str__(self) -> str:
        others = (error for error in self.errors if error.detail != self.detail)
        places = "".join(f"\n  {error.pointer}: {error.detail}" for error in others)
        return f"{self.problem.title}: {self.problem.detail}{places}"


class InvalidRequest(RequestRefused):
    """The request is wrong and stays wrong."""

    code = "InvalidRequest"
    title = "The request is not valid"


class ProgramInvalid(InvalidRequest):
    """The uploaded program cannot be accepted; nothing was stored."""

    code = "ProgramInvalid"
    title = "The program cannot be accepted"


class Unrunnable(InvalidRequest):
    """No executor runs programs of this kind, or has what this one asks for; no job was made."""

    code = "Unrunnable"
    title = "No executor can run this"


class NotAuthenticated(RequestRefused):
    """The API token is missing, unknown, expired or revoked."""

    code = "NotAuthenticated"
    title = "A valid token is needed"


class Forbidden(RequestRefused):
    """The account may not do this."""

    code = "Forbidden"
    title = "Not allowed"


class NotFound(RequestRefused):
    """There is no such thing, or the account may not know of it."""

    code = "NotFound"
    title = "Not found"


class ProgramNotFound(NotFound):
    """There is no such program, or it is someone else's and private."""


class JobNotFound(NotFound):
    """There is no such job, or it is someone else's."""


class Conflict(RequestRefused):
    """The present state of the thing does not allow the request."""

    code = "Conflict"
    title = "Not possible in the present state"


class NameTaken(Conflict):
    """The account already has a program of that name."""

    code = "NameTaken"
    title = "A program of that name exists"


class TooLarge(RequestRefused):
    """The request passes a size limit."""

    code = "TooLarge"
    title = "Too large"


class Overloaded(RequestRefused):
    """A limit on queued work or on rate is reached."""

    code = "Overloaded"
    title = "Too much at once"


class Unavailable(RequestRefused):
    """A part of the runtime did not answer in time."""

    code = "Unavailable"
    title = "Temporarily unavailable"


class InvalidState(QuafuRuntimeError):
    """The object is in a state in which this is not possible."""


class StreamBroken(QuafuRuntimeError):
    """The stream of outputs was cut and could not be resumed; what was delivered is in order."""


class JobTimeout(QuafuRuntimeError, TimeoutError):
    """The job had not ended when the time to wait was over. It goes on; waiting again is fine."""

    def __init__(self, job_id: str, seconds: float) -> None:
        super().__init__(job_id, seconds)
        self.job_id = job_id
        self.seconds = seconds

    def __str__(self) -> str:
        return f"job {self.job_id} had not ended after {self.seconds:g} s"


class BuildTimeout(QuafuRuntimeError, TimeoutError):
    """A version had not been built when the time to wait was over. Waiting again is fine."""

    def __init__(self, program_id: str, version: int, seconds: float) -> None:
        super().__init__(program_id, version, seconds)
        self.program_id = program_id
        self.version = version
        self.seconds = seconds

    def __str__(self) -> str:
        return f"version {self.version} of program {self.program_id} was not built after {self.seconds:g} s"


class BuildFailed(QuafuRuntimeError):
    """A version of a program cannot be built; `problem` says why. Its build log says more."""

    def __init__(self, program_id: str, version: int, problem: Problem | None) -> None:
        super().__init__(program_id, version, problem)
        self.program_id = program_id
        self.version = version
        self.problem = problem or Problem(
            code="BuildFailed", title="The program's environment could not be built", detail="no reason given"
        )

    @property
    def detail(self) -> str:
        """What was wrong, such as the requirement that cannot be had."""
        return self.problem.detail

    def __str__(self) -> str:
        return f"version {self.version} of program {self.program_id}: {self.problem.detail}"


class JobNotSucceeded(QuafuRuntimeError):
    """The job has ended without a result; `problem` says why.

    A program's own exception comes with its `traceback`, shown below the error as well.
    """

    def __init__(self, job_id: str, problem: Problem) -> None:
        super().__init__(job_id, problem)
        self.job_id = job_id
        self.problem = problem
        if problem.traceback:
            self.add_note(problem.traceback.rstrip())

    @property
    def code(self) -> str:
        """The machine-readable cause, such as `ProgramError` or `TimeLimitExceeded`."""
        return self.problem.code

    @property
    def traceback(self) -> str | None:
        """The program's own traceback, if it raised an exception."""
        return self.problem.traceback

    def __str__(self) -> str:
        return f"job {self.job_id}: {self.problem.title}: {self.problem.detail}"


class WebhookRefused(QuafuRuntimeError):
    """A request to a webhook's receiver is not, or is no more, what the runtime sent."""


class SweepFailed(QuafuRuntimeError):
    """Jobs of a sweep have no result; `failures` has the error of each by its place among the inputs."""

    def __init__(self, failures: Mapping[int, QuafuRuntimeError], *, total: int) -> None:
        super().__init__(failures, total)
        self.failures = failures
        self.total = total

    def __str__(self) -> str:
        first = [f"\n  #{index}: {error}" for index, error in list(self.failures.items())[:5]]
        more = f"\n  and {len(self.failures) - 5} more" if len(self.failures) > 5 else ""
        return f"{len(self.failures)} of {self.total} jobs have no result{''.join(first)}{more}"


class JobFailed(JobNotSucceeded):
    """The job has failed."""


class JobCancelled(JobNotSucceeded):
    """The job was cancelled."""


def _by_code(root: type[RequestRefused]) -> dict[str, type[RequestRefused]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        for code, cls in _by_code(child).items():
            found.setdefault(code, cls)  # a subclass without a code of its own stands for no code
    return found


REFUSALS: dict[str, type[RequestRefused]] = _by_code(RequestRefused)
"""Error class by the runtime's fault code."""


def refusal(problem: Problem, *, missing: type[NotFound] = NotFound) -> RequestRefused:
    """Return the error a problem document stands for; `missing` is the class for `NotFound`."""
    cls = REFUSALS.get(problem.code, RequestRefused)
    return missing(problem) if cls is NotFound else cls(problem)


ClientExceptions = QuafuRuntimeError
UserException = NoAccount
RequestException = Unreachable
UploadException = RequestRefused
UpdateException = RequestRefused
RunFailedException = RequestRefused
ArgsException = InvalidRequest
InputValueException = InvalidRequest
ProgramNotValidException = ProgramInvalid
CheckApiTokenError = NotAuthenticated
NotAuthorizedException = Forbidden
ProgramNotFoundException = ProgramNotFound
JobNotFoundException = JobNotFound
DuplicateProgramException = NameTaken
RuntimeInvalidStateError = InvalidState
WebsocketError = StreamBroken
RuntimeJobTimeoutError = JobTimeout
