"""The HTTP server: uvicorn on a socket of our own, as one of the service's loops."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from qrt_gateway.domain.posts import Connection
from qrt_gateway.service.frames import WRITE
from qrt_gateway.service.posts import CONNECTION

log = logging.getLogger(__name__)

GRACE_SECONDS = 5
"""How long answers under way may take once the server stops."""
PING_SECONDS = 20.0
"""WebSocket pings: proxies drop what is silent for a minute."""
KEEP_ALIVE_SECONDS = 75
MAX_INCOMING_FRAME = 64 << 10
"""Listeners have nothing to say."""


class HttpServer:
    """Serves an application on one address."""

    def __init__(self, app: ASGIApp, *, host: str, port: int) -> None:
        """Bind the address; connections are refused until `run`.

        Raises:
            OSError: the address cannot be had; the text names it.
        """
        self._app = app
        self._socket = _bound(host, port)
        bound_host, bound_port = self._socket.getsockname()[:2]
        self.address: tuple[str, int] = (bound_host, bound_port)
        """Host and port, as bound."""
        self._server: _Server | None = None
        self._draining = asyncio.Event()

    @property
    def serving(self) -> bool:
        """Connections are taken at present."""
        return self._server is not None and self._server.started and not self._server.should_exit

    async def run(self) -> None:
        """Serve until cancelled; after `drain`, only wait."""
        listener = self._socket.dup()
        self._server = _Server(
            uvicorn.Config(
                self._app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                http=HttpConnection,
                proxy_headers=False,
                ws=WebSocketConnection,
                ws_max_size=MAX_INCOMING_FRAME,
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=PING_SECONDS,
                ws_per_message_deflate=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        log.info("serving on http://%s:%d", *self.address)
        try:
            await self._server.serve(sockets=[listener])
        finally:
            listener.close()
        if self._draining.is_set():
            await asyncio.Event().wait()

    async def drain(self) -> None:
        """Take no new connection, and return when those there were have been answered."""
        self._draining.set()
        self._socket.close()  # it shares its backlog with the one served: open, it would take connections
        if self._server is not None:
            self._server.should_exit = True
            await self._server.ended.wait()

    def close(self) -> None:
        """Give the address back."""
        self._socket.close()


class HttpConnection(H11Protocol):
    """A connection whose requests can tell whether it still stands, and how it ended."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._state = Connection()
        app = self.app

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[CONNECTION] = {"state": self._state}
            await app(scope, receive, send)

        self.app = told

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._state.closed = True
        self._state.reset = exc is not None
        super().connection_lost(exc)


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A connection that also takes messages which are ready to be written: one for many listeners."""

    @override
    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if scope := getattr(self, "scope", None):
            scope["extensions"][WRITE] = {"write": self.write_message}

    @override
    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.close_sent and self.initial_response is not None:
            # Refused with an answer of its own: the handshake is over, and nothing is left to complain of.
            self.handshake_complete = True

    def write_message(self, message: bytes) -> bool:
        """Write a whole message if the connection stands and its buffer is not full; tell if it was."""
        if not self.handshake_complete or self.close_sent or self.transport.is_closing():
            return False
        if not self.writable.is_set():
            return False
        self.transport.write(message)
        return True


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it is a part of, and says when it has ended."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @override
    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().serve(sockets)
        except asyncio.CancelledError:
            self.force_exit = True
            if self.started:
                await self.shutdown(sockets)
            raise
        finally:
            self.ended.set()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    # Accepted connections inherit it. asyncio sets it only on sockets made with the protocol's
    # number; without it, headers and body of an answer are 40 ms apart (Nagle, delayed ACK).
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise OSError(error.errno, f"cannot serve on {host}:{port}: {error.strerror}") from None
    made.setblocking(False)
    return made
