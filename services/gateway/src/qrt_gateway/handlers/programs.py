"""`/v1/programs`: upload, look, change, delete."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from qrt_contracts.api import (
    AddVersionRequest,
    CreateProgramRequest,
    ProgramList,
    ProgramView,
    UpdateProgramRequest,
)
from qrt_contracts.commands import (
    AddVersion,
    CreateProgram,
    DeleteProgram,
    GetProgram,
    ListPrograms,
    UpdateProgram,
)
from qrt_contracts.faults import NotFound
from qrt_contracts.ids import HexId, new_id
from qrt_contracts.values import Program
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.reading import body_as, id_of, query_as
from qrt_gateway.handlers.resource import Parts, json, resource
from qrt_gateway.handlers.streaming import begun

UPLOAD_DEADLINE = timedelta(seconds=30)
"""The registry starts a process for each source it judges."""


class ListQuery(BaseModel):
    """`GET /v1/programs`."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=128)
    limit: int = Field(default=50, ge=1, le=500)
    cursor: HexId | None = None


def routes(parts: Parts) -> list[Route]:
    """Return the routes of programs."""
    return [
        resource(parts, "/v1/programs", get=list_programs, post=create),
        resource(parts, "/v1/programs/{id}", get=show, patch=update, delete=delete),
        resource(parts, "/v1/programs/{id}/source", get=source),
        resource(parts, "/v1/programs/{id}/versions", post=add_version),
    ]


async def create(parts: Parts, request: Request, caller: Caller) -> Response:
    """Create a program with its first version."""
    wanted = await body_as(request, CreateProgramRequest, limit=parts.max_body_bytes)
    bundle = await parts.artifacts.put(wanted.source.encode())
    rest = {name: getattr(wanted, name) for name in CreateProgramRequest.model_fields if name != "source"}
    command = CreateProgram(caller=caller.name, program_id=new_id(), bundle=bundle, **rest)
    found = await parts.bus.request(command, deadline=UPLOAD_DEADLINE)
    return json(_view(found.program), status=201, location=f"/v1/programs/{found.program.id}")


async def add_version(parts: Parts, request: Request, caller: Caller) -> Response:
    """Give a program a new version."""
    program_id = _id(request)
    wanted = await body_as(request, AddVersionRequest, limit=parts.max_body_bytes)
    bundle = await parts.artifacts.put(wanted.source.encode())
    command = AddVersion(caller=caller.name, program_id=program_id, bundle=bundle)
    found = await parts.bus.request(command, deadline=UPLOAD_DEADLINE)
    return json(_view(found.program), status=201, location=f"/v1/programs/{found.program.id}")


async def list_programs(parts: Parts, request: Request, caller: Caller) -> Response:
    """List the caller's programs, or the one of a name."""
    query = query_as(request, ListQuery)
    if query.name is not None:
        return json(await _named(parts, caller, query.name))
    page = await parts.bus.request(ListPrograms(caller=caller.name, limit=query.limit, cursor=query.cursor))
    views = tuple(map(_view, page.programs))
    return json(ProgramList(programs=views, next_cursor=page.next_cursor, total=page.total))


async def show(parts: Parts, request: Request, caller: Caller) -> Response:
    """Show a program."""
    found = await parts.bus.request(GetProgram(caller=caller.name, program_id=_id(request)))
    return json(_view(found.program))


async def update(parts: Parts, request: Request, caller: Caller) -> Response:
    """Change what describes a program."""
    program_id = _id(request)
    wanted = await body_as(request, UpdateProgramRequest, limit=parts.max_body_bytes)
    fields = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    found = await parts.bus.request(UpdateProgram(caller=caller.name, program_id=program_id, **fields))
    return json(_view(found.program))


async def delete(parts: Parts, request: Request, caller: Caller) -> Response:
    """Delete a program."""
    await parts.bus.request(DeleteProgram(caller=caller.name, program_id=_id(request)))
    return Response(status_code=204)


async def source(parts: Parts, request: Request, caller: Caller) -> Response:
    """Return the source of a program's newest version."""
    found = await parts.bus.request(GetProgram(caller=caller.name, program_id=_id(request)))
    bundle = found.program.latest.bundle
    content = await begun(parts.artifacts.read(bundle.sha256))
    headers = {"Content-Length": str(bundle.size)}
    return StreamingResponse(content, headers=headers, media_type="text/x-python; charset=utf-8")


async def _named(parts: Parts, caller: Caller, name: str) -> ProgramList:
    try:
        found = await parts.bus.request(GetProgram(caller=caller.name, name=name))
    except NotFound:
        return ProgramList(programs=(), next_cursor=None, total=0)
    return ProgramList(programs=(_view(found.program),), next_cursor=None, total=1)


def _id(request: Request) -> str:
    return id_of(request.path_params["id"], what="program")


def _view(program: Program) -> ProgramView:
    return ProgramView(**{name: getattr(program, name) for name in ProgramView.model_fields})
