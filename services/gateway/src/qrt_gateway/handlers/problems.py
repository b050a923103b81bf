"""Faults as HTTP: the one table from code to status, and problem documents (RFC 9457)."""

import logging
from typing import Any, ClassVar

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from qrt_chassis.logging import bound
from qrt_chassis.passing import is_passing
from qrt_contracts.faults import InvalidRequest, NotFound, Problem, RuntimeFault, Unavailable
from qrt_gateway.domain.accounts import MissingScope

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: dict[str, int] = {
    "NotAuthenticated": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "RequestTimeout": 408,
    "Conflict": 409,
    "NameTaken": 409,
    "TooLarge": 413,
    "UnsupportedMediaType": 415,
    "RangeNotSatisfiable": 416,
    "InvalidRequest": 422,
    "ProgramInvalid": 422,
    "Unrunnable": 422,
    "Overloaded": 429,
    "Internal": 500,
    "Unavailable": 503,
    "Undeliverable": 503,
}
"""HTTP status by fault code; docs/errors.md says what to do about each."""

MALFORMED = 400
"""Status of a `MalformedBody`, which has the code of its parent."""

RETRY_SECONDS = 1
"""What `Retry-After` says where the fault itself does not know better."""


class MalformedBody(InvalidRequest):
    """The body cannot be read at all, so that nothing can be said about its fields."""


class MethodNotAllowed(RuntimeFault):
    """The path exists, but not for this method; the header `Allow` lists those it has."""

    code: ClassVar[str] = "MethodNotAllowed"
    title: ClassVar[str] = "Method not allowed"


class UnsupportedMediaType(RuntimeFault):
    """The body is of a kind that is not read here."""

    code: ClassVar[str] = "UnsupportedMediaType"
    title: ClassVar[str] = "Unsupported media type"


class RangeNotSatisfiable(RuntimeFault):
    """The header Range asks for bytes that the file does not have."""

    code: ClassVar[str] = "RangeNotSatisfiable"
    title: ClassVar[str] = "No such bytes"


class RequestTimeout(RuntimeFault):
    """The body did not arrive in time."""

    code: ClassVar[str] = "RequestTimeout"
    title: ClassVar[str] = "The request took too long to arrive"
    retryable: ClassVar[bool] = True


def document(problem: Problem, *, status: int) -> bytes:
    """Return the JSON of a problem: what it says, the HTTP status and the request's id."""
    body: dict[str, Any] = {"type": "about:blank", "status": status}
    body |= problem.model_dump(mode="json", exclude_none=True)
    if not problem.errors:
        del body["errors"]
    if request_id := bound("request_id"):
        body["request_id"] = request_id
    return orjson.dumps(body)


def answer(fault: RuntimeFault, *, headers: dict[str, str] | None = None) -> Response:
    """Return the HTTP answer a fault makes."""
    problem = fault.problem()
    status = MALFORMED if isinstance(fault, MalformedBody) else STATUS.get(problem.code, 500)
    extra = dict(headers or {})
    if status == 401:
        extra.setdefault("WWW-Authenticate", 'Bearer realm="quafu-runtime"')
    if isinstance(fault, MissingScope):  # RFC 6750, 3.1
        extra["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{fault.scope.value}"'
    if problem.retryable:
        seconds = problem.retry_after_seconds or RETRY_SECONDS
        extra["Retry-After"] = str(max(1, round(seconds)))
    if status in (408, 413):
        # What is left of the body is not worth reading.
        extra["Connection"] = "close"
    return Response(document(problem, status=status), status, extra, media_type=MEDIA_TYPE)


def away(error: Exception) -> Unavailable | None:
    """Return the fault that a passing error of the bus or the store amounts to, None for others."""
    if isinstance(error, RuntimeFault) or not is_passing(error):
        return None
    log.warning("a part of the runtime does not answer: %r", error)
    return Unavailable("a part of the runtime does not answer; try again")


async def on_fault(_: Request, error: Exception) -> Response:
    """Answer a fault that a handler raised."""
    assert isinstance(error, RuntimeFault)  # noqa: S101 - registered for it
    return answer(error)


async def on_http(request: Request, error: Exception) -> Response:
    """Answer what the router itself refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if error.status_code == 404:
        return answer(NotFound(f"there is nothing at {request.url.path}"))
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        detail = f"{request.url.path} takes {allow}, not {request.method}"
        return answer(MethodNotAllowed(detail), headers={"Allow": allow})
    return answer(RuntimeFault(error.detail))


async def on_error(_: Request, _error: Exception) -> Response:
    """Answer an error nobody foresaw: no word of it outside, all of it in the log."""
    return answer(RuntimeFault("the runtime made a mistake; its log has the details under this request_id"))
