"""What a version is made of and what it takes: its source, and the signature of its `run`."""

import pydantic
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from qrt_contracts.api_programs import SignatureView
from qrt_contracts.commands import ResolveRun
from qrt_contracts.faults import NotFound
from qrt_contracts.values import Payload, ProgramKind, Signature
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.inputs import SIGNATURE_BYTES
from qrt_gateway.handlers.described import Media, described
from qrt_gateway.handlers.resource import Parts, json, resource
from qrt_gateway.handlers.streaming import begun
from qrt_gateway.handlers.versions import PATH, id_in, version_in

SOURCE = Media(
    ("text/x-python; charset=utf-8", "application/zip"), "The source, or the canonical zip of a project."
)


def routes(parts: Parts) -> list[Route]:
    """Return the routes of versions' contents."""
    return [
        resource(parts, "/v1/programs/{id}/source", get=newest_source),
        resource(parts, PATH + "/{number}/source", get=source),
        resource(parts, PATH + "/{number}/signature", get=signature),
    ]


@described({200: SOURCE})
async def newest_source(parts: Parts, request: Request, caller: Caller) -> Response:
    """Return what a program's newest version was made of: its source, or the zip of its project."""
    request.path_params["number"] = "latest"
    return await source(parts, request, caller)


@described({200: SOURCE})
async def source(parts: Parts, request: Request, caller: Caller) -> Response:
    """Return what a version was made of: its source, or the zip of its project."""
    version = await version_in(parts, request, caller)
    if version.image is not None:
        raise NotFound(f"version {version.number} is the image {version.image!r}: it has no source here")
    headers = {"Content-Length": str(version.bundle.size), "X-Content-Type-Options": "nosniff"}
    if version.kind is ProgramKind.QUAFU:
        media_type = "text/x-python; charset=utf-8"
    else:
        media_type = "application/zip"
        headers["Content-Disposition"] = f'attachment; filename="{id_in(request)}.zip"'
    content = await begun(parts.artifacts.read(version.bundle.sha256))
    return StreamingResponse(content, headers=headers, media_type=media_type)


@described({200: SignatureView})
async def signature(parts: Parts, request: Request, caller: Caller) -> Response:
    """Tell what a version's `run` takes and gives, as far as that is known."""
    version, program_id = await version_in(parts, request, caller), id_in(request)
    command = ResolveRun(
        caller=caller.name, rights=caller.rights, program_id=program_id, version=version.number
    )
    known = await _read(parts, (await parts.bus.request(command)).signature)
    fields = {} if known is None else known.model_dump(exclude={"check"})
    return json(SignatureView(program_id=program_id, version=version.number, kind=version.kind, **fields))


async def _read(parts: Parts, payload: Payload | None) -> Signature | None:
    if payload is None or payload.size > SIGNATURE_BYTES:
        return None
    text = (payload.text or "").encode()
    if payload.artifact is not None:
        text = b"".join([piece async for piece in parts.artifacts.read(payload.artifact.sha256)])
    try:
        return Signature.model_validate_json(text)
    except pydantic.ValidationError:
        return None  # of an older form: everything is taken then
