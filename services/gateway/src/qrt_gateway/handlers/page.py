"""`/openapi.json`, `/asyncapi.json` and `/docs`: the documents, and both as a page that asks nobody else."""

import base64
import hashlib
from collections.abc import Iterable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qrt_gateway.handlers.asyncapi import asyncapi
from qrt_gateway.handlers.document import JSON, openapi
from qrt_gateway.handlers.pages import STYLE, page

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def routes(described: Iterable[BaseRoute]) -> list[Route]:
    """Return the routes of the documents of some routes; anybody may read them."""
    http, sockets = openapi(described), asyncapi()
    contents = {
        "/openapi.json": (orjson.dumps(http), JSON, {}),
        "/asyncapi.json": (orjson.dumps(sockets), JSON, {}),
        "/docs": (page(http, sockets).encode(), "text/html", _HEADERS),
    }

    async def show(request: Request) -> Response:
        request.scope["qrt.route"] = request.url.path
        text, media_type, headers = contents[request.url.path]
        return Response(text, headers=headers, media_type=media_type)

    return [Route(path, show, methods=["GET"]) for path in contents]
