"""Carrying calls over HTTP, blocking. What a call says and means is in `_calls` and `_wire`."""

import ipaddress
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from quafu_runtime._account import Account
from quafu_runtime._httpx import httpx
from quafu_runtime._patience import FIRST_CONTACT, Sending
from quafu_runtime._wire import Call, Reply, Request, refused
from quafu_runtime.errors import Unreachable

T = TypeVar("T")

READ_SECONDS = 30.0
CHUNK_BYTES = 1 << 18
TIMEOUTS = httpx.Timeout(connect=5.0, read=READ_SECONDS, write=60.0, pool=5.0)
LIMITS = httpx.Limits(
    max_connections=32,
    max_keepalive_connections=8,
    keepalive_expiry=2.0,  # below any server's own: a request must not meet a connection being closed
)
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures before anything of a request left."""


def is_loopback(url: str) -> bool:
    """Return whether the address is this machine's own, where no proxy belongs in between."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def headers_of(account: Account) -> dict[str, str]:
    """Return the headers of every request and of every WebSocket handshake."""
    return {"Authorization": f"Bearer {account.get_token()}", "User-Agent": "quafu-runtime"}


def stream_url(account: Account, path: str, query: Mapping[str, str]) -> str:
    """Return the address of a WebSocket."""
    return f"{account.get_url_ws()}{path}?{urlencode(query)}"


def timeout_of(request: Request) -> httpx.Timeout:
    """Return the time limits of one try: the server's promised silence comes on top."""
    return httpx.Timeout(
        connect=TIMEOUTS.connect,
        read=READ_SECONDS + request.wait_seconds,
        write=TIMEOUTS.write,
        pool=TIMEOUTS.pool,
    )


def content_headers(request: Request) -> dict[str, str]:
    """Return the headers of one request besides those of every request."""
    json_type = {"Content-Type": "application/json"} if request.content is not None else {}
    return {**json_type, **request.headers}


class Client:
    """A connection to one runtime for one account. Safe to share between threads.

    `transport` replaces the network, `sleep` and `clock` the pauses between tries.
    """

    def __init__(
        self,
        account: Account,
        transport: httpx.BaseTransport | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.account = account
        self._sleep = sleep
        self._clock = clock
        self._patience = FIRST_CONTACT
        self._http = httpx.Client(
            base_url=account.get_url(),
            headers=headers_of(account),
            limits=LIMITS,
            transport=transport,
            trust_env=not is_loopback(account.get_url()),
        )
        # Notebooks never close anything: connections go when the last job that needs them does.
        self._finalizer = weakref.finalize(self, self._http.close)

    def send(self, call: Call[T]) -> T:
        """Make a call and return what the reply says, trying again where that is safe.

        Raises:
            RequestRefused, InvalidReply: see `Call.parse`.
            Unreachable: no answer came.
        """
        sending = Sending(call.request, self._patience, now=self._clock())
        while True:
            pause = None
            try:
                reply = self._try(call.request)
            except httpx.TransportError as exc:
                sent = not isinstance(exc, NOT_SENT)
                pause = sending.failed(exc, sent=sent, now=self._clock())
            else:
                pause = sending.answered(reply, now=self._clock())
                self._patience = sending.patience
                if pause is None:
                    return call.parse(reply)
            self._sleep(pause)

    def read(self, request: Request) -> Iterator[bytes]:
        """Make a request and yield the body of its answer, without holding it; it is not tried again.

        Raises:
            RequestRefused: as `send`.
            Unreachable: no answer came, or it broke off.
        """
        try:
            with self._http.stream(
                request.method, request.path, headers=content_headers(request), timeout=timeout_of(request)
            ) as answer:
                if answer.status_code >= 300:
                    raise refused(Reply(answer.status_code, answer.read()))
                yield from answer.iter_bytes(CHUNK_BYTES)
        except httpx.TransportError as exc:
            raise Unreachable(f"{request.path} broke off: {str(exc) or type(exc).__name__}") from exc

    def close(self) -> None:
        """Close the connections. The client is of no use afterwards."""
        self._finalizer()

    def _try(self, request: Request) -> Reply:
        answer = self._http.request(
            request.method,
            request.path,
            params=dict(request.query),
            headers=content_headers(request),
            content=request.content,
            timeout=timeout_of(request),
        )
        return Reply(answer.status_code, answer.content)
