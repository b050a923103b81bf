"""Requests and replies of the runtime's HTTP surface as values; nothing here does I/O.

A `Call` is a request together with how to read its reply. The clients only carry calls.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from qrt_contracts.faults import Problem
from quafu_runtime import errors

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class Repeat(Enum):
    """Whether a request may be sent again when it is not known whether it was carried out."""

    SAFE = "safe"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, without the address and the token."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    """JSON text."""
    repeat: Repeat = Repeat.SAFE
    wait_seconds: float = 0
    """How long the server was asked to hold its answer back."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and the function that reads its successful reply."""

    request: Request
    read: Callable[[Reply], T]
    missing: type[errors.NotFound] = errors.NotFound

    def parse(self, reply: Reply) -> T:
        """Return what the reply says.

        Raises:
            RequestRefused: the runtime refused; the class is that of the problem's code.
            InvalidReply: the reply is not of the promised form.
        """
        if reply.status >= 400:
            raise refused(reply, missing=self.missing)
        if reply.status >= 300:
            raise errors.InvalidReply(f"{self.request.path} was answered with a redirect ({reply.status})")
        return self.read(reply)


_CODES = {
    400: "InvalidRequest",
    422: "InvalidRequest",
    401: "NotAuthenticated",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    413: "TooLarge",
    429: "Overloaded",
    502: "Unavailable",
    503: "Unavailable",
    504: "Unavailable",
}


def problem_of(reply: Reply) -> Problem:
    """Return the problem document of an error reply, or one made from its status for a proxy's page."""
    try:
        return Problem.model_validate_json(reply.body)
    except ValidationError:
        code = _CODES.get(reply.status, "InvalidRequest" if reply.status < 500 else "Internal")
        return Problem(
            code=code,
            title=f"HTTP {reply.status}",
            detail="the answer did not come from the runtime itself",
            retryable=reply.status in (429, 502, 503, 504),
        )


def refused(reply: Reply, *, missing: type[errors.NotFound] = errors.NotFound) -> errors.RequestRefused:
    """Return the error that an error reply stands for; an unknown code goes by the status."""
    problem = problem_of(reply)
    if problem.code in errors.REFUSALS:
        return errors.refusal(problem, missing=missing)
    return errors.REFUSALS[_CODES.get(reply.status, errors.RequestRefused.code)](problem)


def reads(model: type[M]) -> Callable[[Reply], M]:
    """Return a reader of replies of the given shape."""

    def read(reply: Reply) -> M:
        # json.loads and not the model's own parser: it keeps integers of any size, NaN and infinity.
        try:
            return model.model_validate(json.loads(reply.body))
        except ValueError as exc:  # also what pydantic raises
            raise errors.InvalidReply(f"the answer is not a {model.__name__}: {exc}") from exc

    return read


def reads_text(reply: Reply) -> str:
    """Return the reply's body as text."""
    return reply.body.decode("utf-8", errors="replace")


def reads_nothing(reply: Reply) -> None:
    """Ignore the reply's body."""


def to_json(value: Any, *, what: str) -> bytes:
    """Return `value` as JSON text.

    Raises:
        InvalidRequest: JSON cannot hold it; `what` names it in the message.
    """
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise errors.InvalidRequest.because(f"{what} cannot be written as JSON: {exc}", field=what) from exc
