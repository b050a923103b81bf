"""What an execution has brought: the result with its envelope, and files."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from starlette.responses import Response, StreamingResponse

from qrt_contracts.faults import NotFound
from qrt_contracts.ids import dashed
from qrt_contracts.jobs import Job
from qrt_contracts.states import TERMINAL, JobState
from qrt_contracts.values import OutputFile, Payload
from qrt_gateway.handlers.files import sent
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.handlers.streaming import begun
from qrt_gateway.kipu.endpoint import Asking
from qrt_gateway.kipu.members import mentions_underscore, unwrapped, without
from qrt_gateway.kipu.shapes import RESERVED, envelope, failure

JSON = "application/json"
MAIN = "output.json"
SCALAR = "output.txt"
READ_FILE_BYTES = 1 << 20
"""An `output.json` that a program wrote by itself is merged up to this size; a larger one is a link alone."""


class NoResultYet(NotFound):
    """The execution has not ended."""

    title: ClassVar[str] = "No result yet"
    retryable: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Main:
    """What an execution returned, as the file that its program did not write."""

    file: OutputFile
    payload: Payload


async def result(asking: Asking) -> Response:
    """Return what the program returned, merged with the envelope; for a failed job its problem document."""
    job = await asking.execution()
    if job.status not in TERMINAL:
        raise NoResultYet(f"execution {dashed(job.id)} has not ended: ask again once its status is final")
    main = await _main(asking.parts, job)
    around = envelope(job, _names(job, main), endpoint=asking.endpoint)
    if job.status is JobState.FAILED:
        return Response(orjson.dumps(await _failure(asking.parts, job) | around), media_type=JSON)
    object_text = await _object(asking.parts, job)
    if object_text is None:
        return Response(orjson.dumps(around), media_type=JSON)
    return StreamingResponse(await begun(_merged(object_text, around)), media_type=JSON)


async def file(asking: Asking) -> Response:
    """Send a file, or a part of it."""
    job = await asking.execution()
    name: str = asking.request.path_params["file"]
    for each in job.files:
        if each.name == name:
            return await sent(asking.parts, asking.request, each)
    main = await _main(asking.parts, job)
    if main is None or main.file.name != name:
        raise NotFound(f"the execution has left no file {name[:200]!r}")
    text = main.payload.text
    return await sent(asking.parts, asking.request, main.file, text.encode() if text is not None else None)


def _names(job: Job, main: _Main | None) -> list[str]:
    names = [each.name for each in job.files]
    return names if main is None else [main.file.name, *names]


async def _main(parts: Parts, job: Job) -> _Main | None:
    """Return the main result as a file, where the program left none of that name."""
    payload, name = job.result, MAIN
    if job.status is JobState.FAILED:
        payload = Payload(text=orjson.dumps(failure(job)).decode())
    if payload is None:
        return None
    first = await _first(parts, payload)
    if first not in (b"{", b"["):
        name = SCALAR
    if first == b"n" or any(each.name in (MAIN, name) for each in job.files):
        return None
    return _Main(file=_as_file(name, payload), payload=payload)


def _as_file(name: str, payload: Payload) -> OutputFile:
    if payload.artifact is not None:
        return OutputFile(name=name, size=payload.artifact.size, sha256=payload.artifact.sha256)
    data = (payload.text or "").encode()
    return OutputFile(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())


async def _object(parts: Parts, job: Job) -> "_Text | None":
    """Return the text to merge: of a returned object, or else of one that the program wrote itself."""
    if job.result is not None:
        first = await _first(parts, job.result)
        if first == b"{":
            return _Text(parts, job.result)
        if first != b"n":
            return None
    text, value = await _written(parts, job)
    return _Text(parts, Payload(text=text.decode())) if isinstance(value, dict) else None


async def _failure(parts: Parts, job: Job) -> dict[str, Any]:
    """Return a failed job's problem document, with what its program added to it.

    The runner leaves one as `output.json`, in which an exception may have members of its own.
    """
    document = failure(job)
    _, value = await _written(parts, job)
    if isinstance(value, dict) and value.get("code") == document.get("code"):
        return document | {key: each for key, each in value.items() if key not in RESERVED}
    return document


async def _written(parts: Parts, job: Job) -> tuple[bytes, Any]:
    """Return the text of the program's own `output.json` and what it says; None if there is none to read."""
    written = next((each for each in job.files if each.name == MAIN), None)
    if written is None or written.size > READ_FILE_BYTES:
        return b"", None
    async with aclosing(await begun(parts.artifacts.read(written.sha256))) as pieces:
        text = b"".join([piece async for piece in pieces])
    try:
        return text, orjson.loads(text)
    except orjson.JSONDecodeError:
        return b"", None


class _Text:
    """The JSON text of an object, to be read more than once."""

    def __init__(self, parts: Parts, payload: Payload) -> None:
        self._parts, self._payload = parts, payload

    def pieces(self) -> AsyncIterator[bytes]:
        return _pieces(self._parts, self._payload)


async def _pieces(parts: Parts, payload: Payload) -> AsyncIterator[bytes]:
    if payload.artifact is None:
        yield (payload.text or "").encode()
        return
    async for piece in parts.artifacts.read(payload.artifact.sha256):
        yield piece


async def _first(parts: Parts, payload: Payload) -> bytes:
    """Return the first character of a JSON text."""
    if payload.artifact is None:
        return (payload.text or "null").encode().lstrip()[:1]
    async with aclosing(await begun(parts.artifacts.read(payload.artifact.sha256, end=64))) as pieces:
        return b"".join([piece async for piece in pieces]).lstrip()[:1]


async def _merged(text: _Text, around: dict[str, Any]) -> AsyncIterator[bytes]:
    """Yield the object with the envelope's members in place of any of their names."""
    careful = await mentions_underscore(text.pieces())
    inner = without(RESERVED, text.pieces()) if careful else unwrapped(text.pieces())
    yield b"{"
    empty = True
    async for piece in inner:
        empty = empty and not piece.strip()
        yield piece
    yield (b"" if empty else b",") + orjson.dumps(around)[1:]
