"""Requests as values: bodies and query strings, bounded and validated."""

import asyncio
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from qrt_contracts.faults import FieldError, InvalidRequest, NotFound, TooLarge, field_errors
from qrt_contracts.ids import plain
from qrt_gateway.handlers.problems import MalformedBody, RequestTimeout, UnsupportedMediaType
from qrt_gateway.handlers.texts import parsed

M = TypeVar("M", bound=BaseModel)

BODY_SECONDS = 60.0
"""How long a body may take to arrive."""
DISCARDED_BYTES = 64 << 20
"""What is read of a body beyond its limit, to be able to answer."""


async def body_as(request: Request, model: type[M], *, limit: int) -> M:
    """Return the request's JSON body as a `model`.

    Raises:
        UnsupportedMediaType, RequestTimeout, TooLarge: it cannot be read.
        MalformedBody: it is no JSON object.
        InvalidRequest: it is not of this form; `errors` points at each fault.
    """
    _require_json(request)
    value = parsed(await bounded_body(request, limit))
    if not isinstance(value, dict):
        raise MalformedBody("the body must be a JSON object")
    return model_of(value, model)


def model_of(value: dict[str, Any], model: type[M]) -> M:
    """Return named values as a `model`. Raises: InvalidRequest."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _invalid(error) from None


def query_as(request: Request, model: type[M]) -> M:
    """Return the query string as a `model`. Raises: InvalidRequest."""
    return query_items(request.query_params.multi_items(), model)


def query_items(items: list[tuple[str, str]], model: type[M]) -> M:
    """Return query parameters as a `model`. Raises: InvalidRequest."""
    values = dict(items)
    if len(values) < len(items):
        twice = next(name for name in values if sum(name == each for each, _ in items) > 1)
        raise InvalidRequest(f"{twice} is given more than once", field=twice)
    return model_of(values, model)


def id_of(text: str, *, what: str, field: str | None = None) -> str:
    """Return an id in its plain form. Raises: NotFound, for what cannot be the id of anything."""
    identifier = plain(text)
    if identifier is None:
        raise NotFound(f"there is no {what} {text[:64]!r}: an id has 32 hexadecimal digits", field=field)
    return identifier


def _require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType(f"send application/json, not {media_type[:64]!r}")


async def bounded_body(request: Request, limit: int) -> bytes:
    """Return the request's body. Raises: RequestTimeout, TooLarge."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                # What passes the limit is read on, and dropped: a client cut off while it still
                # sends would never see the answer. Only one that goes on for ever is cut off.
                if size <= limit:
                    chunks.append(chunk)
                elif size > limit + DISCARDED_BYTES:
                    break
    except TimeoutError:
        raise RequestTimeout(f"the body did not arrive within {BODY_SECONDS:.0f} s") from None
    if size > limit:
        raise TooLarge(f"the body is larger than {limit} bytes")
    return b"".join(chunks)


def _invalid(error: ValidationError) -> InvalidRequest:
    raw = error.errors(include_url=False, include_context=False, include_input=False)
    errors = tuple(
        FieldError(pointer=each.pointer, detail=_in_words(detail["type"], each.detail))
        for each, detail in zip(field_errors(list(raw)), raw, strict=True)
    )
    said = "; ".join(f"{each.pointer.lstrip('/') or 'body'}: {each.detail}" for each in errors[:5])
    field = errors[0].pointer.lstrip("/").partition("/")[0] or None
    return InvalidRequest(said, field=field, errors=errors)


def _in_words(kind: str, said: str) -> str:
    if kind == "extra_forbidden":
        return "unknown field"
    return said.removeprefix("Value error, ")
