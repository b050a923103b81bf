"""The gateway's ASGI application, as a value."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from qrt_contracts.faults import NotFound, RuntimeFault
from qrt_gateway.console import routes as console
from qrt_gateway.handlers import (
    accounts,
    administration,
    audit,
    backends,
    circuits,
    clients,
    contents,
    credentials,
    events,
    files,
    groups,
    jobs,
    many,
    outputs,
    page,
    problems,
    programs,
    results,
    stream,
    tokens,
    versions,
    webhooks,
)
from qrt_gateway.handlers.envelope import Envelope
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.kipu import routes as kipu
from qrt_gateway.quafu import routes as quafu


def build(parts: Parts) -> ASGIApp:
    """Return the application that serves every surface."""
    native = _native(parts)
    app = Starlette(
        routes=[
            Route("/healthz", _healthz, methods=["GET"]),
            *page.routes(native),
            *native,
            *quafu.routes(parts),
            *kipu.routes(parts),
            *console.routes(parts),
            WebSocketRoute("/{path:path}", _no_stream),
        ],
        exception_handlers={
            RuntimeFault: problems.on_fault,
            HTTPException: problems.on_http,
            Exception: problems.on_error,
        },
    )
    app.router.redirect_slashes = False  # a redirected POST becomes a GET in common clients
    return Envelope(quafu.SingleSlashes(kipu.PlainSlashes(app)))


def _native(parts: Parts) -> list[BaseRoute]:
    return [
        *programs.routes(parts),
        *versions.routes(parts),
        *contents.routes(parts),
        *jobs.routes(parts),
        *results.routes(parts),
        *files.routes(parts),
        *outputs.routes(parts),
        *circuits.routes(parts),
        *stream.routes(parts),
        *events.routes(parts),
        *many.routes(parts),
        *accounts.routes(parts),
        *tokens.routes(parts),
        *groups.routes(parts),
        *audit.routes(parts),
        *clients.routes(parts),
        *backends.routes(parts),
        *credentials.routes(parts),
        *webhooks.routes(parts),
        *administration.routes(parts),
    ]


async def _no_stream(websocket: WebSocket) -> None:
    """Refuse a WebSocket at a path that has none."""
    await stream.refuse(websocket, NotFound(f"there is no WebSocket at {websocket.url.path}"))


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("the gateway answers\n")
