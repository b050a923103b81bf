"""The routes of the Kipu surface, and the slashes its clients add."""

import re

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from qrt_gateway.handlers.resource import Parts
from qrt_gateway.kipu import documents, executions, outputs, results, token
from qrt_gateway.kipu.endpoint import open_route, route

_SLASHES = re.compile(r"/{2,}")


def routes(parts: Parts) -> list[BaseRoute]:
    """Return the routes of services and of tokens."""
    return [
        token.route(parts),
        route(parts, "", get=executions.list_all, post=executions.start),
        open_route(parts, "/openapi.json", get=documents.document),
        open_route(parts, "/docs", get=documents.docs),
        route(parts, "/{id}", get=executions.show),
        route(parts, "/{id}/result", get=results.result),
        route(parts, "/{id}/result/{file:path}", get=results.file),
        route(parts, "/{id}/log", get=outputs.log),
        route(parts, "/{id}/interim-results", get=outputs.interim_results),
        route(parts, "/{id}/cancel", put=executions.cancel),
    ]


class PlainSlashes:
    """Collapses slashes in the paths of this surface and drops the last one: published clients ask for a
    service with and without. No redirect: a redirected POST becomes a GET in common clients."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope["path"].startswith(("/services", "/token")):
            scope["path"] = _SLASHES.sub("/", scope["path"]).rstrip("/")
        await self._app(scope, receive, send)
