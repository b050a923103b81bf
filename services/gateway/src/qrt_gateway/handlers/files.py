"""`/v1/jobs/{id}/files`: what a program left in its output directory, whole or a range of bytes."""

import re
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from qrt_contracts.api import FileList
from qrt_contracts.commands import GetJob
from qrt_contracts.faults import NotFound
from qrt_contracts.jobs import Job
from qrt_contracts.values import OutputFile
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.ranges import ByteRange, Unsatisfiable, asked_range
from qrt_gateway.handlers.described import Header, Media, described
from qrt_gateway.handlers.jobs import job_id_of
from qrt_gateway.handlers.problems import RangeNotSatisfiable, answer
from qrt_gateway.handlers.resource import Parts, json, resource
from qrt_gateway.handlers.streaming import begun

_UNSAFE = re.compile(r'[^ -~]|["\\]')


FILE = Media(("application/octet-stream",), "The file.")
PART = Media(("application/octet-stream",), "The bytes that the header Range asks for.")
RANGE = Header("Range", "One range of bytes, such as `bytes=0-99`.")
IF_RANGE = Header("If-Range", "The header Range counts only for the content of this ETag.")
IF_NONE_MATCH = Header("If-None-Match", "The ETag of the content that the client has.")


def routes(parts: Parts) -> list[Route]:
    """Return the routes of output files."""
    return [
        resource(parts, "/v1/jobs/{id}/files", get=list_files),
        resource(parts, "/v1/jobs/{id}/files/{name:path}", get=content),
    ]


@described({200: FileList})
async def list_files(parts: Parts, request: Request, caller: Caller) -> Response:
    """List a job's output files; empty while it has not ended."""
    job = await _job(parts, request, caller)
    return json(FileList(job_id=job.id, files=job.files, skipped_files=job.skipped_files))


@described(
    {200: FILE, 206: PART, 304: "The client has it."},
    headers=(RANGE, IF_RANGE, IF_NONE_MATCH),
    refuses=(416,),
)
async def content(parts: Parts, request: Request, caller: Caller) -> Response:
    """Send one file's bytes, or the one range of them that is asked for."""
    job = await _job(parts, request, caller)
    name = request.path_params["name"]
    file = next((each for each in job.files if each.name == name), None)
    if file is None:
        raise NotFound(f"the job has left no file {name[:200]!r}")
    return await sent(parts, request, file)


async def sent(parts: Parts, request: Request, file: OutputFile, text: bytes | None = None) -> Response:
    """Send a file's bytes, or the one range of them that is asked for; `text` where it is no artifact."""
    if request.headers.get("if-none-match") in (_etag(file), "*"):
        return Response(status_code=304, headers={"ETag": _etag(file)})
    try:
        part = asked_range(_range_of(request, file), size=file.size)
    except Unsatisfiable as exc:
        return answer(RangeNotSatisfiable(str(exc)), headers={"Content-Range": f"bytes */{file.size}"})
    headers = _headers(file, part)
    status = 200 if part is None else 206
    start, end = (0, file.size) if part is None else (part.start, part.end)
    if request.method == "HEAD" or start == end:
        return Response(None, status, headers)
    if text is not None:
        return Response(text[start:end], status, headers)
    body = await begun(parts.artifacts.read(file.sha256, start=start, end=end))
    return StreamingResponse(body, status, headers)


async def _job(parts: Parts, request: Request, caller: Caller) -> Job:
    return (
        await parts.bus.request(GetJob(caller=caller.name, rights=caller.rights, job_id=job_id_of(request)))
    ).job


def _range_of(request: Request, file: OutputFile) -> str | None:
    """Return the header Range, unless it is meant for another content than this file has."""
    meant_for = request.headers.get("if-range")
    if request.method == "HEAD" or meant_for not in (None, _etag(file)):
        return None
    return request.headers.get("range")


def _etag(file: OutputFile) -> str:
    return f'"{file.sha256}"'


def _headers(file: OutputFile, part: ByteRange | None) -> dict[str, str]:
    """A program chose the content: browsers are told to save it, never to show or to guess at it."""
    last = file.name.rpartition("/")[2]
    plain = _UNSAFE.sub("_", last)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(last, safe='')}",
        "Content-Length": str(file.size if part is None else part.end - part.start),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Type": "application/octet-stream",
        "ETag": _etag(file),
        "X-Content-Type-Options": "nosniff",
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{file.size}"
    return headers
