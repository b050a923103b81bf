"""The health endpoints of a process: `/livez`, `/readyz`, `/metrics`."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from typing_extensions import override

from qrt_chassis import metrics
from qrt_chassis.settings import HealthSettings
from qrt_chassis.tasks import Tasks

log = logging.getLogger(__name__)

Ping = Callable[[], Awaitable[None]]
"""Returns if a dependency answers; raises otherwise."""

PING_SECONDS = 2.0
"""How long a dependency may take to answer."""


class Health:
    """What this process says of itself."""

    def __init__(self, pings: Mapping[str, Mapping[str, Ping]]) -> None:
        self._pings = pings
        self.stopping = False

    async def missing(self) -> dict[str, list[str]]:
        """Return, for each service that is not ready, the dependencies that do not answer."""
        answers = await asyncio.gather(*(self._silent(pings) for pings in self._pings.values()))
        found = dict(zip(self._pings, answers, strict=True))
        for service, silent in found.items():
            metrics.READY.labels(service).set(not silent and not self.stopping)
        return {service: silent for service, silent in found.items() if silent}

    async def _silent(self, pings: Mapping[str, Ping]) -> list[str]:
        answers = await asyncio.gather(*(_answers(name, ping) for name, ping in pings.items()))
        return [name for name, answered in zip(pings, answers, strict=True) if not answered]


async def _answers(name: str, ping: Ping) -> bool:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await ping()
    except Exception as error:  # noqa: BLE001 - any error of a ping is its answer
        log.debug("%s does not answer: %r", name, error)
        return False
    return True


def health_app(health: Health) -> Starlette:
    """Return the ASGI application that serves the three endpoints."""

    async def livez(_: Request) -> Response:
        return PlainTextResponse("the loop turns\n")

    async def readyz(_: Request) -> Response:
        missing = await health.missing()
        ready = not missing and not health.stopping
        body = {"ready": ready, "stopping": health.stopping, "missing": missing}
        return JSONResponse(body, status_code=200 if ready else 503)

    async def metrics_page(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics_page)]
    )


@asynccontextmanager
async def health_server(settings: HealthSettings, health: Health) -> AsyncIterator[None]:
    """Serve the endpoints inside the context; nothing at all if the port is 0.

    Raises:
        OSError: the address cannot be bound.
    """
    if settings.port == 0:
        yield
        return
    config = uvicorn.Config(
        health_app(health),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    with contextlib.closing(_listen(settings)) as listener:
        tasks = Tasks("health")
        serving = tasks.start(server.serve(sockets=[listener]), name="server")
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([serving], timeout=5)
            await tasks.close()


def _listen(settings: HealthSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family)


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it is a part of."""

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
