"""What is done to every request, whatever its path: one slash, one id, one line in the log."""

import logging
import re
import time
from contextlib import AbstractContextManager, nullcontext

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qrt_chassis import tracing
from qrt_chassis.logging import bind
from qrt_contracts.ids import new_id
from qrt_gateway import metrics

log = logging.getLogger(__name__)

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEADER = "x-request-id"


class Envelope:
    """The outermost ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its id in the answer and in every log record made meanwhile."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = _with_single_slash(scope)
        request_id = _request_id(scope)
        started = time.perf_counter()
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        with bind(request_id=request_id), _traced(scope):
            try:
                await self._app(scope, receive, send_on)
            finally:
                _report(scope, status, time.perf_counter() - started)


def _traced(scope: Scope) -> AbstractContextManager[None]:
    """Return the span of a request; a WebSocket, which may last for days, has none."""
    if scope["type"] != "http":
        return nullcontext()
    parent = Headers(scope=scope).get("traceparent")
    return tracing.begin(f"HTTP {scope['method']}", parent=parent, path=scope["path"])


def _with_single_slash(scope: Scope) -> Scope:
    """Collapse leading slashes: Quafu clients join a base that ends in one with a path that begins so."""
    if not scope["path"].startswith("//"):
        return scope
    raw = scope.get("raw_path") or scope["path"].encode()
    return {**scope, "path": "/" + scope["path"].lstrip("/"), "raw_path": b"/" + raw.lstrip(b"/")}


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(HEADER, "")
    return given if _SANE_ID.fullmatch(given) else new_id()


def _report(scope: Scope, status: int, seconds: float) -> None:
    method = scope.get("method", "WS")
    route = scope.get("qrt.route", "other")
    metrics.REQUEST_SECONDS.labels(route, method, status).observe(seconds)
    log.info("%s %s %d %.1f ms", method, scope["path"], status, seconds * 1000)
