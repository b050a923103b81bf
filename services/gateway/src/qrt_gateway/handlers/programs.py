"""`/v1/programs`: upload, look, change, delete."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api_programs import (
    CreateProgramRequest,
    ProgramForm,
    ProgramList,
    ProgramView,
    UpdateProgramRequest,
)
from qrt_contracts.commands import (
    CreateProgram,
    DeleteProgram,
    GetProgram,
    ListPrograms,
    UpdateProgram,
)
from qrt_contracts.faults import NotFound
from qrt_contracts.ids import HexId, new_id
from qrt_contracts.rights import ProgramScope, Scope
from qrt_contracts.values import ProgramKind
from qrt_gateway.domain.accounts import Caller, require_scope
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.reading import body_as, query_as
from qrt_gateway.handlers.resource import Parts, json, resource
from qrt_gateway.handlers.uploads import ARCHIVE, is_form, upload_as
from qrt_gateway.handlers.versions import bundle_of, id_in, judged


class ListQuery(BaseModel):
    """`GET /v1/programs`."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=128)
    scope: ProgramScope = ProgramScope.OWN
    limit: int = Field(default=50, ge=1, le=500)
    cursor: HexId | None = None


def routes(parts: Parts) -> list[Route]:
    """Return the routes of programs."""
    return [
        resource(parts, "/v1/programs", get=list_programs, post=create),
        resource(parts, "/v1/programs/{id}", get=show, patch=update, delete=delete),
    ]


@described({201: ProgramView}, body=CreateProgramRequest, form=ProgramForm, refuses=(409,))
async def create(parts: Parts, request: Request, caller: Caller) -> Response:
    """Create a program with its first version."""
    if is_form(request):
        upload = await upload_as(
            request, ProgramForm, artifacts=parts.artifacts, limit=parts.max_archive_bytes
        )
        fields, bundle, field = dict(upload.fields), upload.archive, ARCHIVE
    else:
        wanted = await body_as(request, CreateProgramRequest, limit=parts.max_body_bytes)
        fields, field = dict(wanted), "image" if wanted.source is None else "source"
        source, kind = fields.pop("source"), wanted.kind
        fields["kind"] = kind or (ProgramKind.CONTAINER if source is None else ProgramKind.QUAFU)
        bundle = await parts.artifacts.put(bundle_of(source, fields["kind"]), upload=True)
    await parts.directory.require_audience(caller, groups=fields["groups"])
    command = CreateProgram(
        caller=caller.name, rights=caller.rights, program_id=new_id(), bundle=bundle, **fields
    )
    found = await judged(parts, command, field=field)
    return json(ProgramView.of(found), status=201, location=f"/v1/programs/{found.id}")


@described({200: ProgramList}, query=ListQuery)
async def list_programs(parts: Parts, request: Request, caller: Caller) -> Response:
    """List the caller's programs, all it may see, or everybody's; or those of a name."""
    query = query_as(request, ListQuery)
    if query.scope is ProgramScope.ALL:
        require_scope(caller, Scope.ADMIN)
    if query.name is not None and query.scope is ProgramScope.OWN:
        return json(await _named(parts, caller, query.name))
    command = ListPrograms(
        caller=caller.name,
        rights=caller.rights,
        scope=query.scope,
        name=query.name,
        limit=query.limit,
        cursor=query.cursor,
    )
    page = await parts.bus.request(command)
    views = tuple(map(ProgramView.of, page.programs))
    return json(ProgramList(programs=views, next_cursor=page.next_cursor, total=page.total))


@described({200: ProgramView})
async def show(parts: Parts, request: Request, caller: Caller) -> Response:
    """Show a program."""
    found = await parts.bus.request(
        GetProgram(caller=caller.name, rights=caller.rights, program_id=id_in(request))
    )
    return json(ProgramView.of(found.program))


@described({200: ProgramView}, body=UpdateProgramRequest, refuses=(409,))
async def update(parts: Parts, request: Request, caller: Caller) -> Response:
    """Change what describes a program."""
    program_id = id_in(request)
    wanted = await body_as(request, UpdateProgramRequest, limit=parts.max_body_bytes)
    fields = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    await parts.directory.require_audience(caller, groups=wanted.groups or ())
    found = await parts.bus.request(
        UpdateProgram(caller=caller.name, rights=caller.rights, program_id=program_id, **fields)
    )
    return json(ProgramView.of(found.program))


@described({204: "It is deleted."})
async def delete(parts: Parts, request: Request, caller: Caller) -> Response:
    """Delete a program."""
    await parts.bus.request(
        DeleteProgram(caller=caller.name, rights=caller.rights, program_id=id_in(request))
    )
    return Response(status_code=204)


async def _named(parts: Parts, caller: Caller, name: str) -> ProgramList:
    try:
        found = await parts.bus.request(GetProgram(caller=caller.name, rights=caller.rights, name=name))
    except NotFound:
        return ProgramList(programs=(), next_cursor=None, total=0)
    return ProgramList(programs=(ProgramView.of(found.program),), next_cursor=None, total=1)
