"""A WebSocket server that serves one job's outputs and cuts its connections as a test wishes."""

import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Self
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from quafu_runtime import Account
from tests.sdk import frames

Behaviour = Callable[["Visit"], None]


class Visit:
    """One connection, as the server sees it."""

    def __init__(self, connection: ServerConnection, query: dict[str, list[str]]) -> None:
        self._connection = connection
        self.after = int(query["after"][0])
        self.attempt = int(query.get("attempt", ["0"])[0])

    def send(self, text: str) -> None:
        self._connection.send(text)

    def close(self, code: int) -> None:
        self._connection.close(code)

    def cut(self) -> None:
        """Break the connection as a dying machine does."""
        self._connection.socket.shutdown(socket.SHUT_RDWR)

    def await_client(self) -> None:
        """Block until the client has gone."""
        for _ in self._connection:
            pass


class StreamServer(AbstractContextManager["StreamServer"]):
    """Serves connection number i by `behaviours[i]`, the last for ever; an int refuses with that status."""

    def __init__(self, *behaviours: Behaviour | int) -> None:
        self._behaviours = list(behaviours)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self.visits: list[tuple[int, int]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def account(self) -> Account:
        assert self._server is not None
        port = self._server.socket.getsockname()[1]
        return Account(api_token="testapitoken", url=f"http://127.0.0.1:{port}")

    def __enter__(self) -> Self:
        self._server = serve(self._serve, "127.0.0.1", 0, process_request=self._refuse, close_timeout=1)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join(10)

    def _refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        self.headers.append(dict(request.headers.raw_items()))
        behaviour = self._behaviours[0]
        if not isinstance(behaviour, int):
            return None
        self._next()
        return connection.respond(HTTPStatus(behaviour), "refused")

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        assert parts.path == f"/v1/jobs/{frames.JOB}/stream"
        visit = Visit(connection, parse_qs(parts.query))
        self.visits.append((visit.attempt, visit.after))
        behaviour = self._behaviours[0]
        assert not isinstance(behaviour, int)
        self._next()
        behaviour(visit)

    def _next(self) -> None:
        if len(self._behaviours) > 1:
            self._behaviours.pop(0)


def serves(total: int, *, until: int | None = None, batch: int = 1, repeat: int = 0) -> Behaviour:
    """Return what sends outputs 1 to `total` in batches and ends; or cuts after output `until`.

    `repeat`: begins that many outputs earlier than it was asked to.
    """

    def behave(visit: Visit) -> None:
        position = max(0, visit.after - repeat)
        visit.send(frames.state())
        visit.send(frames.attempt(1))
        last = total if until is None else until
        while position < last:
            upto = min(position + batch, last)
            visit.send(frames.outputs(range(position + 1, upto + 1)))
            position = upto
        if until is None:
            visit.send(frames.end(total))
        else:
            visit.cut()

    return behave
