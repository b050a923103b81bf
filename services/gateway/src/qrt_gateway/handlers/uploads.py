"""Bodies of several parts: an archive that goes to the artifact store while it arrives, and fields.

Nothing of the archive is kept in memory or in a file of the gateway's, and no more is read than is taken.
Source: RFC 7578, multipart/form-data.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from qrt_contracts.faults import FieldError, InvalidRequest, TooLarge
from qrt_contracts.values import Artifact
from qrt_gateway.handlers.problems import MalformedBody, RequestTimeout
from qrt_gateway.handlers.reading import BODY_SECONDS, DISCARDED_BYTES, model_of
from qrt_gateway.ports import Artifacts

FORM = "multipart/form-data"
ARCHIVE = "archive"
"""The name of the part that holds the project."""
UPLOAD_SECONDS = 900.0
"""How long a whole upload may take to arrive."""
MAX_FIELDS = 32
FIELD_BYTES = 64 << 10

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Upload(Generic[M]):
    """What a form has brought."""

    fields: M
    archive: Artifact


@dataclass(frozen=True, slots=True)
class _Part:
    """A part begins."""

    name: str


class _End:
    """A part ends."""


_Event = _Part | _End | bytes


def is_form(request: Request) -> bool:
    """Tell whether a request's body has several parts."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


async def upload_as(request: Request, model: type[M], *, artifacts: Artifacts, limit: int) -> Upload[M]:
    """Store the archive of a form, of at most `limit` bytes, and return it with the fields as a `model`.

    Raises:
        MalformedBody: it is no such form.
        RequestTimeout, TooLarge: it cannot be taken.
        InvalidRequest: a field is wrong, or there is no archive.
    """
    try:
        async with asyncio.timeout(UPLOAD_SECONDS), aclosing(_events(request)) as events:
            fields, archive = await _taken(events, artifacts, limit)
    except TimeoutError:
        raise RequestTimeout("the body did not arrive in time") from None
    except MultipartParseError as error:
        raise MalformedBody(f"the body is not {FORM}: {error}") from None
    if archive is None:
        raise _refused(ARCHIVE, f"missing: send the project's zip, tar or tar.gz as the part `{ARCHIVE}`")
    return Upload(model_of(fields, model), archive)


async def _taken(
    events: AsyncGenerator[_Event, None], artifacts: Artifacts, limit: int
) -> tuple[dict[str, str], Artifact | None]:
    fields: dict[str, str] = {}
    archive: Artifact | None = None
    async for event in events:
        assert isinstance(event, _Part)  # noqa: S101 - each part is read to its end below
        if event.name in fields or (event.name == ARCHIVE and archive is not None):
            raise _refused(event.name, "given more than once")
        if event.name == ARCHIVE:
            archive = await _stored(events, artifacts, limit)
        elif len(fields) >= MAX_FIELDS:
            raise InvalidRequest(f"the form has more than {MAX_FIELDS} fields")
        else:
            fields[event.name] = await _text(events, event.name)
    return fields, archive


async def _stored(events: AsyncGenerator[_Event, None], artifacts: Artifacts, limit: int) -> Artifact:
    try:
        async with aclosing(_content(events)) as content:
            return await artifacts.put(content, limit=limit, upload=True)
    except TooLarge:
        await _discard(events)
        raise TooLarge(f"the archive is larger than {limit} bytes", field=ARCHIVE) from None


async def _text(events: AsyncGenerator[_Event, None], name: str) -> str:
    value = bytearray()
    async with aclosing(_content(events)) as content:
        async for piece in content:
            value += piece
            if len(value) > FIELD_BYTES:
                break
    if len(value) > FIELD_BYTES:
        await _discard(events)
        raise TooLarge(f"the field {name[:64]} has more than {FIELD_BYTES} bytes", field=name[:64])
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise _refused(name, "not UTF-8") from None


async def _content(events: AsyncGenerator[_Event, None]) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of the part that has begun."""
    async for event in events:
        if not isinstance(event, bytes):
            return
        yield event


async def _discard(events: AsyncGenerator[_Event, None]) -> None:
    """Read on for a while: a client cut off while it still sends would never see the answer."""
    left = DISCARDED_BYTES
    async for event in events:
        left -= len(event) if isinstance(event, bytes) else 0
        if left < 0:
            return


async def _events(request: Request) -> AsyncGenerator[_Event, None]:
    """Yield what the body says; each `_Part` is followed by its bytes and an `_End`."""
    _, options = parse_options_header(request.headers.get("content-type"))
    if not (boundary := options.get(b"boundary", b"")):
        raise MalformedBody(f"the header Content-Type says {FORM} without a boundary")
    reader = _Reader()
    parser = MultipartParser(boundary, reader.callbacks())
    async with aclosing(_chunks(request)) as chunks:
        async for chunk in chunks:
            parser.write(chunk)
            while reader.events:
                yield reader.events.popleft()
    if not reader.complete:
        raise MalformedBody("the body ends before its last boundary")


async def _chunks(request: Request) -> AsyncGenerator[bytes, None]:
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise RequestTimeout(f"nothing more of the body arrived for {BODY_SECONDS:.0f} s") from None
        if chunk is None:
            return
        if chunk:
            yield chunk


class _Reader:
    """What the parser has found and nobody has looked at yet."""

    def __init__(self) -> None:
        self.events: deque[_Event] = deque()
        self.complete = False
        self._header = b""
        self._value = b""
        self._disposition = b""

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": lambda data, start, end: self.events.append(data[start:end]),
            "on_part_end": lambda: self.events.append(_End()),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._header = self._value = self._disposition = b""

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _on_headers(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or not options.get(b"name"):
            raise MultipartParseError("a part has no header `Content-Disposition: form-data; name=...`")
        self.events.append(_Part(options[b"name"].decode("utf-8", "replace")))

    def _end(self) -> None:
        self.complete = True


def _refused(name: str, detail: str) -> InvalidRequest:
    shown = name[:64]
    pointer = "/" + shown.replace("~", "~0").replace("/", "~1")
    return InvalidRequest(
        f"{shown}: {detail}", field=shown, errors=(FieldError(pointer=pointer, detail=detail),)
    )
