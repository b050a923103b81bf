"""`/v1/programs/{id}/versions`: what was uploaded of a program, and how far its builds are."""

import asyncio
import io
import zipfile
from collections.abc import AsyncGenerator
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api import MAX_WAIT_SECONDS
from qrt_contracts.api_programs import (
    MAX_BUILD_WAIT_SECONDS,
    AddVersionRequest,
    BuildView,
    ProgramView,
    VersionForm,
    VersionList,
    VersionView,
)
from qrt_contracts.commands import (
    AddVersion,
    BuildLogPage,
    CreateProgram,
    GetProgram,
    ListVersions,
    ReadBuildLog,
    VersionSummary,
)
from qrt_contracts.faults import FieldError, NotFound, ProgramInvalid, Unavailable
from qrt_contracts.values import BuildState, Program, ProgramKind
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.described import Media, described
from qrt_gateway.handlers.reading import body_as, id_of, query_as
from qrt_gateway.handlers.resource import Parts, json, resource
from qrt_gateway.handlers.streaming import Streamed, begun
from qrt_gateway.handlers.uploads import ARCHIVE, is_form, upload_as

UPLOAD_DEADLINE = timedelta(seconds=60)
"""The registry starts a process for each upload it judges."""
LATEST = "latest"
"""In place of a version's number."""
TEXT = "text/plain; charset=utf-8"
PATH = "/v1/programs/{id}/versions"
_ANSWER_SECONDS = 10.0
_PAUSE_SECONDS = 0.5
_STEP_SECONDS = 2.0
"""How long the registry is asked to wait at a time: a gateway that stops lets go of it in between."""
_NO_LINE = 1 << 31
_EARLIEST = (1980, 1, 1, 0, 0, 0)


LOG = Media((TEXT,), "The log of the build, a line each.")


class ListQuery(BaseModel):
    """`GET /v1/programs/{id}/versions`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=500)
    cursor: str | None = Field(default=None, pattern=r"^[1-9][0-9]{0,8}$")


class VersionQuery(BaseModel):
    """`GET /v1/programs/{id}/versions/{number}`. `wait`: for the end of its build, at most 55 s."""

    model_config = ConfigDict(extra="forbid")

    wait: float = Field(default=0, ge=0, allow_inf_nan=False)


class BuildQuery(BaseModel):
    """`GET /v1/programs/{id}/versions/{number}/build`."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0, lt=1 << 31)
    wait: float = Field(default=0, ge=0, allow_inf_nan=False)


class LogQuery(BaseModel):
    """`GET /v1/programs/{id}/versions/{number}/build/log`. `follow`: what is still to come, too."""

    model_config = ConfigDict(extra="forbid")

    follow: bool = False


def routes(parts: Parts) -> list[Route]:
    """Return the routes of versions."""
    return [
        resource(parts, PATH, get=list_versions, post=add_version),
        resource(parts, PATH + "/{number}", get=show),
        resource(parts, PATH + "/{number}/build", get=build),
        resource(parts, PATH + "/{number}/build/log", get=build_log),
    ]


@described({201: ProgramView}, body=AddVersionRequest, form=VersionForm, refuses=(409,))
async def add_version(parts: Parts, request: Request, caller: Caller) -> Response:
    """Give a program a new version; the same upload as the newest one's changes nothing."""
    program_id = id_in(request)
    if is_form(request):
        upload = await upload_as(
            request, VersionForm, artifacts=parts.artifacts, limit=parts.max_archive_bytes
        )
        command = AddVersion(
            caller=caller.name, rights=caller.rights, program_id=program_id, bundle=upload.archive
        )
        found = await judged(parts, command, field=ARCHIVE)
    else:
        found = await _added(parts, request, caller, program_id)
    location = f"/v1/programs/{found.id}/versions/{found.latest.number}"
    return json(ProgramView.of(found), status=201, location=location)


@described({200: VersionList}, query=ListQuery)
async def list_versions(parts: Parts, request: Request, caller: Caller) -> Response:
    """List a program's versions, newest first."""
    query = query_as(request, ListQuery)
    command = ListVersions(
        caller=caller.name, rights=caller.rights, program_id=id_in(request), **query.model_dump()
    )
    page = await parts.bus.request(command)
    views = tuple(map(VersionView.of, page.versions))
    return json(VersionList(versions=views, next_cursor=page.next_cursor, total=page.total))


@described({200: VersionView}, query=VersionQuery)
async def show(parts: Parts, request: Request, caller: Caller) -> Response:
    """Show a version, once its build has ended or the wait is over."""
    wait = min(query_as(request, VersionQuery).wait, MAX_WAIT_SECONDS)
    version = await version_in(parts, request, caller)
    if wait and version.build.state is BuildState.BUILDING:
        page = await _awaited(parts, caller, id_in(request), version.number, after=_NO_LINE, wait=wait)
        now = await version_in(parts, request, caller)
        version = now.model_copy(update={"build": page.build}) if now.number == version.number else now
    return json(VersionView.of(version))


@described({200: BuildView}, query=BuildQuery)
async def build(parts: Parts, request: Request, caller: Caller) -> Response:
    """Tell how a version's build stands, with lines of its log."""
    query = query_as(request, BuildQuery)
    program_id, number = id_in(request), (await version_in(parts, request, caller)).number
    wait = min(query.wait, MAX_BUILD_WAIT_SECONDS)
    page = await _awaited(parts, caller, program_id, number, after=query.after, wait=wait)
    return json(
        BuildView(
            program_id=program_id,
            version=number,
            build=page.build,
            lines=page.lines,
            last=page.last,
            complete=page.complete,
        )
    )


@described({200: LOG}, query=LogQuery)
async def build_log(parts: Parts, request: Request, caller: Caller) -> Response:
    """Return the log of a build as text, to the build's end if it is followed."""
    follow = query_as(request, LogQuery).follow
    program_id, number = id_in(request), (await version_in(parts, request, caller)).number
    lines = _lines(parts, caller, program_id, number, follow=follow)
    return Streamed(await begun(lines), media_type=TEXT)


async def judged(parts: Parts, command: CreateProgram | AddVersion, *, field: str) -> Program:
    """Have the registry take an upload; `field` is what its sender calls it.

    Raises:
        ProgramInvalid: it cannot be accepted; nothing was changed.
    """
    try:
        program = (await parts.bus.request(command, deadline=UPLOAD_DEADLINE)).program
    except ProgramInvalid as fault:
        if fault.field not in ("bundle", "source"):
            raise
        errors = tuple(FieldError(pointer=f"/{field}", detail=each.detail) for each in fault.errors)
        raise ProgramInvalid(fault.detail, field=field, errors=errors) from None
    await parts.artifacts.keep(program.latest.bundle.sha256)  # a registry of an earlier release does not
    return program


def bundle_of(source: str | None, kind: ProgramKind) -> bytes:
    """Return the bundle that one source makes: itself, or the project of which it is the program."""
    data = (source or "").encode()
    if kind is not ProgramKind.TEMPLATE:
        return data
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in (("src/__init__.py", b""), ("src/program.py", data)):
            archive.writestr(zipfile.ZipInfo(name, date_time=_EARLIEST), content)
    return whole.getvalue()


def id_in(request: Request) -> str:
    """Return the id in a program's path. Raises: NotFound."""
    return id_of(request.path_params["id"], what="program")


async def version_in(parts: Parts, request: Request, caller: Caller) -> VersionSummary:
    """Return the version that a request's path names. Raises: NotFound."""
    said = request.path_params["number"]
    wanted = None if said == LATEST else _number(said)
    cursor = None if wanted is None else str(wanted + 1)
    command = ListVersions(
        caller=caller.name, rights=caller.rights, program_id=id_in(request), limit=1, cursor=cursor
    )
    page = await parts.bus.request(command)
    if not page.versions or wanted not in (None, page.versions[0].number):
        raise NotFound(f"the program has no version {wanted}; its newest is {page.total}", field="number")
    return page.versions[0]


async def _added(parts: Parts, request: Request, caller: Caller, program_id: str) -> Program:
    wanted = await body_as(request, AddVersionRequest, limit=parts.max_body_bytes)
    kind = ProgramKind.CONTAINER
    if wanted.source is not None:
        found = await parts.bus.request(
            GetProgram(caller=caller.name, rights=caller.rights, program_id=program_id)
        )
        kind = found.program.kind
    bundle = await parts.artifacts.put(bundle_of(wanted.source, kind), upload=True)
    command = AddVersion(
        caller=caller.name, rights=caller.rights, program_id=program_id, bundle=bundle, image=wanted.image
    )
    return await judged(parts, command, field="image" if wanted.source is None else "source")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 8 and int(text)):
        raise NotFound(f"{text[:32]!r} is no version: give its number, or {LATEST!r}", field="number")
    return int(text)


async def _lines(
    parts: Parts, caller: Caller, program_id: str, number: int, *, follow: bool
) -> AsyncGenerator[str, None]:
    after, wait = 0, 0.0  # the first answer is not waited for: it tells that there is something to follow
    while True:
        page = await _awaited(parts, caller, program_id, number, after=after, wait=wait)
        yield "".join(f"{line}\n" for line in page.lines)
        if page.complete or not (follow or page.lines):
            return
        after, wait = page.last, MAX_BUILD_WAIT_SECONDS if follow else 0.0


async def _awaited(
    parts: Parts, caller: Caller, program_id: str, number: int, *, after: int, wait: float
) -> BuildLogPage:
    """Return what follows in a build's log: as soon as something does, or when the wait is over.

    Raises:
        Unavailable: the gateway is stopping meanwhile.
    """
    time = asyncio.get_running_loop().time
    until = time() + wait
    while True:
        asked, left = time(), until - time()
        page = await _page(parts, caller, program_id, number, after, min(left, _STEP_SECONDS))
        if page.lines or page.complete or left <= _STEP_SECONDS:
            return page
        if parts.watching.closed:
            raise Unavailable("the gateway is stopping; come again")
        if time() - asked < _PAUSE_SECONDS:
            await asyncio.sleep(_PAUSE_SECONDS)  # too many wait at the registry already


async def _page(
    parts: Parts, caller: Caller, program_id: str, number: int, after: int, wait: float
) -> BuildLogPage:
    command = ReadBuildLog(
        caller=caller.name,
        rights=caller.rights,
        program_id=program_id,
        version=number,
        after=after,
        wait_seconds=max(0.0, wait),
    )
    return await parts.bus.request(command, deadline=timedelta(seconds=_STEP_SECONDS + _ANSWER_SECONDS))
