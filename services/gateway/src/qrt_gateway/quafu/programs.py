"""Programs, as Quafu clients upload, read and change them."""

from starlette.responses import Response

from qrt_contracts.commands import (
    AddVersion,
    CreateProgram,
    DeleteProgram,
    GetProgram,
    ListPrograms,
    UpdateProgram,
)
from qrt_contracts.faults import InvalidRequest
from qrt_contracts.ids import new_id
from qrt_contracts.rights import Scope
from qrt_contracts.values import Artifact, Program, Visibility
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.handlers.versions import UPLOAD_DEADLINE
from qrt_gateway.quafu.asked import Page, ProgramFields, id_in, object_of, read_as
from qrt_gateway.quafu.endpoint import Asking, Endpoint
from qrt_gateway.quafu.shapes import program_entry, program_whole

PAGE = 500
"""Programs asked of the registry at once."""


async def upload(asking: Asking) -> Response:
    """Create a program."""
    fields = read_as(ProgramFields, await object_of(asking.request, limit=asking.parts.max_body_bytes))
    if not fields.name or not fields.data:
        raise InvalidRequest("a program needs name and data, its source in base64")
    command = CreateProgram(
        caller=asking.caller.name,
        rights=asking.caller.rights,
        program_id=new_id(),
        name=fields.name,
        bundle=await asking.parts.artifacts.put(fields.data, upload=True),
        **({"visibility": Visibility.PRIVATE} | fields.described()),
    )
    found = await asking.parts.bus.request(command, deadline=UPLOAD_DEADLINE)
    await asking.parts.artifacts.keep(found.program.latest.bundle.sha256)
    asking.about(f"program {found.program.id}")
    return asking.answer({"id": found.program.id})


async def update(asking: Asking) -> Response:
    """Change a program: first its source, which may be refused, then what describes it."""
    body = await object_of(asking.request, limit=asking.parts.max_body_bytes)
    program_id = id_in(body.get("program_id"), what="program")
    asking.about(f"program {program_id}")
    fields = read_as(ProgramFields, body)
    bus, caller = asking.parts.bus, asking.caller
    if fields.data:
        bundle = await asking.parts.artifacts.put(fields.data, upload=True)
        version = AddVersion(caller=caller.name, rights=caller.rights, program_id=program_id, bundle=bundle)
        found = await bus.request(version, deadline=UPLOAD_DEADLINE)
        await asking.parts.artifacts.keep(found.program.latest.bundle.sha256)
    change = UpdateProgram(
        caller=caller.name,
        rights=caller.rights,
        program_id=program_id,
        name=fields.name,
        **fields.described(),
    )
    return await _whole(asking, (await bus.request(change)).program)


async def delete(asking: Asking) -> Response:
    """Delete a program."""
    program_id = id_in(asking.request.query_params.get("program_id"), what="program")
    asking.about(f"program {program_id}")
    await asking.parts.bus.request(
        DeleteProgram(caller=asking.caller.name, rights=asking.caller.rights, program_id=program_id)
    )
    return asking.answer({"program_id": program_id})


async def show(asking: Asking) -> Response:
    """Return a program with its source, found by id or by name."""
    query = asking.request.query_params
    if program_id := query.get("program_id"):
        wanted = GetProgram(
            caller=asking.caller.name,
            rights=asking.caller.rights,
            program_id=id_in(program_id, what="program"),
        )
    elif name := query.get("name"):
        wanted = GetProgram(caller=asking.caller.name, rights=asking.caller.rights, name=name)
    else:
        raise InvalidRequest("name the program: give program_id or name")
    return await _whole(asking, (await asking.parts.bus.request(wanted)).program)


async def list_all(asking: Asking) -> Response:
    """Return some of the caller's programs, newest first, and how many there are."""
    page = read_as(Page, dict(asking.request.query_params))
    programs, total = await _slice(asking, page.offset, page.offset + page.limit)
    entries = [program_entry(each, asking.dialect) for each in programs]
    return asking.answer({"programs": entries, "count": total})


async def _slice(asking: Asking, start: int, stop: int) -> tuple[list[Program], int]:
    seen, cursor, found = 0, None, list[Program]()
    while True:
        limit = max(1, min(PAGE, stop - seen))
        command = ListPrograms(
            caller=asking.caller.name, rights=asking.caller.rights, limit=limit, cursor=cursor
        )
        page = await asking.parts.bus.request(command)
        if start >= page.total:
            return [], page.total
        found += page.programs[max(0, start - seen) : max(0, stop - seen)]
        seen, cursor = seen + len(page.programs), page.next_cursor
        if cursor is None or seen >= stop:
            return found, page.total


async def _whole(asking: Asking, program: Program) -> Response:
    source = await _bytes_of(asking.parts, program.latest.bundle)
    return asking.answer(program_whole(program, source, asking.dialect))


async def _bytes_of(parts: Parts, bundle: Artifact) -> bytes:
    return b"".join([piece async for piece in parts.artifacts.read(bundle.sha256)])


ENDPOINTS = (
    Endpoint(name="programs_upload", method="POST", scope=Scope.WRITE, answer=upload),
    Endpoint(name="program_update", method="POST", scope=Scope.WRITE, answer=update),
    Endpoint(name="program_delete", method="DELETE", scope=Scope.WRITE, answer=delete),
    Endpoint(name="programs", method="GET", scope=Scope.READ, answer=list_all, codes={"InvalidRequest": 405}),
    Endpoint(name="program", method="GET", scope=Scope.READ, answer=show, codes={"InvalidRequest": 405}),
)
