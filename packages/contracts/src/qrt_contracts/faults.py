"""The faults the runtime raises on purpose, and the problem document that carries them.

    RuntimeFault
    |-- InvalidRequest        the request is wrong; `field` says where
    |   |-- ProgramInvalid    an uploaded program cannot be accepted
    |   `-- Unrunnable        no executor can ever run the job
    |-- NotAuthenticated      no token, or one that is not valid
    |-- Forbidden             the caller may not do this
    |-- NotFound              no such thing, or not the caller's to see
    |-- Conflict              the thing's present state does not allow it
    |   `-- NameTaken         the owner has a program of that name
    |-- TooLarge              a body or a payload passes its limit
    |-- Overloaded            a limit on work or rate is reached; retry later
    `-- Unavailable           a part of the runtime did not answer in time

A fault knows nothing of HTTP: the gateway alone maps `code` to a status. A reply on the bus
carries a fault as a `Problem`, and `fault_from` turns it back into the class of that code.
"""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field


class FieldError(BaseModel):
    """One thing wrong with a request: a JSON pointer (RFC 6901) and what is wrong there."""

    model_config = ConfigDict(frozen=True)

    pointer: str
    detail: str


class Problem(BaseModel):
    """Why something failed: an RFC 9457 problem document with the members the runtime adds.

    `code` is stable and machine-readable (listed in docs/errors.md); `title` is one line that does
    not vary between occurrences; `detail` is about this occurrence. `traceback` is that of the
    user's program without the runtime's frames, and never one of the runtime's own.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    title: str
    detail: str
    retryable: bool = False
    field: str | None = None
    errors: tuple[FieldError, ...] = ()
    traceback: str | None = None
    retry_after_seconds: float | None = Field(default=None, ge=0)


class RuntimeFault(Exception):
    """Root of everything this project raises on purpose."""

    code: ClassVar[str] = "Internal"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        errors: tuple[FieldError, ...] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.errors = errors
        self.retry_after_seconds = retry_after_seconds

    def problem(self) -> Problem:
        """Return the document that describes this fault."""
        return Problem(
            code=self.code,
            title=self.title,
            detail=self.detail,
            retryable=self.retryable,
            field=self.field,
            errors=self.errors,
            retry_after_seconds=self.retry_after_seconds,
        )

    @classmethod
    def from_problem(cls, problem: Problem) -> Self:
        """Return the fault that `problem` describes."""
        return cls(
            problem.detail,
            field=problem.field,
            errors=problem.errors,
            retry_after_seconds=problem.retry_after_seconds,
        )


class InvalidRequest(RuntimeFault):
    """The request is wrong and stays wrong: `field` and `errors` say where."""

    code = "InvalidRequest"
    title = "The request is not valid"


class ProgramInvalid(InvalidRequest):
    """An uploaded program cannot be accepted; nothing was stored."""

    code = "ProgramInvalid"
    title = "The program cannot be accepted"


class Unrunnable(InvalidRequest):
    """No executor runs programs of this kind, or has what this one asks for; nothing was stored."""

    code = "Unrunnable"
    title = "No executor can run this"


class NotAuthenticated(RuntimeFault):
    """The request carries no token, or one that is unknown, expired or revoked."""

    code = "NotAuthenticated"
    title = "A valid token is needed"


class Forbidden(RuntimeFault):
    """The caller is known and may not do this."""

    code = "Forbidden"
    title = "Not allowed"


class NotFound(RuntimeFault):
    """There is no such thing, or the caller may not know of it."""

    code = "NotFound"
    title = "Not found"


class Conflict(RuntimeFault):
    """The present state of the thing does not allow the request."""

    code = "Conflict"
    title = "Not possible in the present state"


class NameTaken(Conflict):
    """The owner already has a program of that name."""

    code = "NameTaken"
    title = "A program of that name exists"


class TooLarge(RuntimeFault):
    """A body, a payload or a list passes its limit."""

    code = "TooLarge"
    title = "Too large"


class Overloaded(RuntimeFault):
    """A limit on queued work or on rate is reached; the same request can succeed later."""

    code = "Overloaded"
    title = "Too much at once"
    retryable = True


class Unavailable(RuntimeFault):
    """A part of the runtime did not answer in time; the same request can succeed later."""

    code = "Unavailable"
    title = "Temporarily unavailable"
    retryable = True


def _tree(root: type[RuntimeFault]) -> dict[str, type[RuntimeFault]]:
    found: dict[str, type[RuntimeFault]] = {root.code: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


FAULTS: dict[str, type[RuntimeFault]] = _tree(RuntimeFault)
"""Fault class by stable code."""


def fault_from(problem: Problem) -> RuntimeFault:
    """Return the fault a problem document stands for; unknown codes become the root class."""
    return FAULTS.get(problem.code, RuntimeFault).from_problem(problem)


def field_errors(errors: list[Any]) -> tuple[FieldError, ...]:
    """Turn pydantic's error list into pointers and texts.

    The offending input is left out on purpose: it may hold a secret.
    """
    return tuple(
        FieldError(
            pointer="".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in e["loc"]),
            detail=e["msg"],
        )
        for e in errors
    )
