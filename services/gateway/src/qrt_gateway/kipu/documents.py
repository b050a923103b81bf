"""`/services/{service}/openapi.json` and `/docs`: what a service takes, gives and answers."""

import logging
from contextlib import aclosing
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from qrt_contracts.values import Program, Signature
from qrt_gateway.domain.inputs import SIGNATURE_BYTES
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.handlers.streaming import begun
from qrt_gateway.kipu.description import openapi
from qrt_gateway.kipu.endpoint import Asking
from qrt_gateway.kipu.page import HEADERS, page

log = logging.getLogger(__name__)


async def document(asking: Asking) -> Response:
    """Return the OpenAPI document."""
    return Response(orjson.dumps(await _document(asking)), media_type="application/json")


async def docs(asking: Asking) -> Response:
    """Return the page."""
    return Response(page(await _document(asking)), headers=HEADERS, media_type="text/html")


async def _document(asking: Asking) -> dict[str, Any]:
    program = await asking.program()
    signature = await _signature(asking.parts, program)
    status = asking.parts.kipu_cancel_status
    try:
        found = openapi(program, signature, endpoint=asking.endpoint, cancel_status=status)
        orjson.dumps(found)
    except (RecursionError, TypeError):
        # A program's author wrote the schemas; what is absurdly deep in them says nothing to anybody.
        log.info("the signature of program %s cannot be shown", program.id)
        return openapi(program, None, endpoint=asking.endpoint, cancel_status=status)
    return found


async def _signature(parts: Parts, program: Program) -> Signature | None:
    payload = program.latest.signature
    if payload is None or payload.size > SIGNATURE_BYTES:
        return None
    text = (payload.text or "").encode()
    if payload.artifact is not None:
        async with aclosing(await begun(parts.artifacts.read(payload.artifact.sha256))) as pieces:
            text = b"".join([piece async for piece in pieces])
    try:
        return Signature.model_validate_json(text)
    except ValidationError:
        return None
