"""The routes of the Quafu surface, and the slashes its clients double."""

import re
import time

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from qrt_gateway.handlers.resource import Parts
from qrt_gateway.quafu import endpoint, jobs, programs, stream
from qrt_gateway.quafu.dialect import BARE, ENVELOPED
from qrt_gateway.quafu.repeats import Repeats

STREAM_PATHS = ("/", "/runtime", "/runtime/", BARE.base, BARE.base + "/", BARE.base + "/runtime")
"""Clients are told an address without a path, or give the one they use for HTTP."""

_SLASHES = re.compile(r"/{2,}")


def routes(parts: Parts) -> list[BaseRoute]:
    """Return the routes of both dialects."""
    found: list[BaseRoute] = [
        endpoint.route(parts, each, dialect)
        for dialect in (ENVELOPED, BARE)
        for each in (*programs.ENDPOINTS, *jobs.ENDPOINTS)
    ]
    return [*found, *stream.routes(parts, Repeats(time.monotonic), STREAM_PATHS)]


class SingleSlashes:
    """Collapses slashes in the paths of this surface: clients join a base that ends in one with a
    path that begins with one. No redirect: a redirected POST becomes a GET in common clients."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] in ("http", "websocket") and scope["path"].startswith((BARE.base, "/runtime")):
            scope["path"] = _SLASHES.sub("/", scope["path"])
        await self._app(scope, receive, send)
