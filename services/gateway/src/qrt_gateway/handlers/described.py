"""What the native surface's document says of an endpoint, beside the endpoint itself."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from qrt_contracts.rights import Scope
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.resource import Parts

Answering = Callable[[Parts, Request, Caller], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Media:
    """An answer that is no JSON of ours: its media types and what it is."""

    types: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Header:
    """A header that a request may carry."""

    name: str
    description: str
    pattern: str = ".{1,255}"


Answer = type[BaseModel] | Media | str
"""The shape of an answer, or the description of one without a body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. What goes with every body, query or path is not said again."""

    summary: str
    answers: Mapping[int, Answer]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    """The fields of a form besides its archive, in place of the body."""
    headers: tuple[Header, ...] = ()
    refuses: tuple[int, ...] = ()
    """Statuses of problem documents besides those that follow from the rest."""
    scopes: tuple[Scope, ...] | None = None
    """What a caller's token needs, all of it; none is any valid token. None is `read` for a GET and `write`
    for what changes something."""

    def needs(self, method: str) -> tuple[Scope, ...]:
        """Return what a caller's token needs for this as a method."""
        if self.scopes is not None:
            return self.scopes
        return (Scope.READ,) if method in ("GET", "HEAD") else (Scope.WRITE,)


class Described:
    """An endpoint and its operation."""

    def __init__(self, endpoint: Answering, operation: Operation) -> None:
        self._endpoint = endpoint
        self.operation = operation

    def __call__(self, parts: Parts, request: Request, caller: Caller) -> Awaitable[Response]:
        """Answer a request."""
        return self._endpoint(parts, request, caller)

    def needs(self, method: str) -> tuple[Scope, ...]:
        """Return the scopes that a caller's token needs."""
        return self.operation.needs(method)


def described(
    answers: Mapping[int, Answer],
    *,
    query: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    form: type[BaseModel] | None = None,
    headers: tuple[Header, ...] = (),
    refuses: tuple[int, ...] = (),
    scopes: tuple[Scope, ...] | None = None,
) -> Callable[[Answering], Described]:
    """Describe an endpoint; the first line of its docstring is the summary."""

    def decorate(endpoint: Answering) -> Described:
        summary = (endpoint.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        return Described(
            endpoint,
            Operation(
                summary=summary,
                answers=answers,
                query=query,
                body=body,
                form=form,
                headers=headers,
                refuses=refuses,
                scopes=scopes,
            ),
        )

    return decorate
