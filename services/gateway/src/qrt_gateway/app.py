"""The gateway's ASGI application, as a value."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from qrt_contracts.faults import RuntimeFault
from qrt_gateway.handlers import (
    accounts,
    backends,
    circuits,
    clients,
    credentials,
    events,
    files,
    jobs,
    many,
    outputs,
    problems,
    programs,
    results,
    stream,
    versions,
)
from qrt_gateway.handlers.envelope import Envelope
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.kipu import routes as kipu
from qrt_gateway.quafu import routes as quafu


def build(parts: Parts) -> ASGIApp:
    """Return the application that serves every surface."""
    app = Starlette(
        routes=[
            Route("/healthz", _healthz, methods=["GET"]),
            *programs.routes(parts),
            *versions.routes(parts),
            *jobs.routes(parts),
            *results.routes(parts),
            *files.routes(parts),
            *outputs.routes(parts),
            *circuits.routes(parts),
            *stream.routes(parts),
            *events.routes(parts),
            *many.routes(parts),
            *accounts.routes(parts),
            *clients.routes(parts),
            *backends.routes(parts),
            *credentials.routes(parts),
            *quafu.routes(parts),
            *kipu.routes(parts),
        ],
        exception_handlers={
            RuntimeFault: problems.on_fault,
            HTTPException: problems.on_http,
            Exception: problems.on_error,
        },
    )
    app.router.redirect_slashes = False  # a redirected POST becomes a GET in common clients
    return Envelope(quafu.SingleSlashes(kipu.PlainSlashes(app)))


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("the gateway answers\n")
