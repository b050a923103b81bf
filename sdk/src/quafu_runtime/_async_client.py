"""Carrying calls over HTTP, asynchronously: the twin of `_client`."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from quafu_runtime._account import Account
from quafu_runtime._client import (
    CHUNK_BYTES,
    LIMITS,
    NOT_SENT,
    content_headers,
    headers_of,
    is_loopback,
    timeout_of,
)
from quafu_runtime._httpx import httpx
from quafu_runtime._patience import FIRST_CONTACT, Sending
from quafu_runtime._wire import Call, Reply, Request, refused
from quafu_runtime.errors import Unreachable

T = TypeVar("T")


class AsyncClient:
    """A connection to one runtime for one account, for one event loop.

    `transport` replaces the network, `sleep` and `clock` the pauses between tries.
    """

    def __init__(
        self,
        account: Account,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.account = account
        self._sleep = sleep
        self._clock = clock
        self._patience = FIRST_CONTACT
        self._http = httpx.AsyncClient(
            base_url=account.get_url(),
            headers=headers_of(account),
            limits=LIMITS,
            transport=transport,
            trust_env=not is_loopback(account.get_url()),
        )

    async def send(self, call: Call[T]) -> T:
        """Make a call and return what the reply says, trying again where that is safe.

        Raises:
            RequestRefused, InvalidReply: see `Call.parse`.
            Unreachable: no answer came.
        """
        sending = Sending(call.request, self._patience, now=self._clock())
        while True:
            pause = None
            try:
                reply = await self._try(call.request)
            except httpx.TransportError as exc:
                sent = not isinstance(exc, NOT_SENT)
                pause = sending.failed(exc, sent=sent, now=self._clock())
            else:
                pause = sending.answered(reply, now=self._clock())
                self._patience = sending.patience
                if pause is None:
                    return call.parse(reply)
            await self._sleep(pause)

    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Make a request and yield the body of its answer, without holding it; it is not tried again.

        Raises:
            RequestRefused: as `send`.
            Unreachable: no answer came, or it broke off.
        """
        try:
            async with self._http.stream(
                request.method, request.path, headers=content_headers(request), timeout=timeout_of(request)
            ) as answer:
                if answer.status_code >= 300:
                    raise refused(Reply(answer.status_code, await answer.aread()))
                async for chunk in answer.aiter_bytes(CHUNK_BYTES):
                    yield chunk
        except httpx.TransportError as exc:
            raise Unreachable(f"{request.path} broke off: {str(exc) or type(exc).__name__}") from exc

    async def aclose(self) -> None:
        """Close the connections. The client is of no use afterwards."""
        await self._http.aclose()

    async def _try(self, request: Request) -> Reply:
        answer = await self._http.request(
            request.method,
            request.path,
            params=dict(request.query),
            headers=content_headers(request),
            content=request.content,
            timeout=timeout_of(request),
        )
        return Reply(answer.status_code, answer.content)
