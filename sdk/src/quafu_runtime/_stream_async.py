"""Following a job's outputs, asynchronously: the twin of `_stream_sync`."""

import asyncio
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from qrt_contracts.api import EndFrame
from quafu_runtime._account import Account
from quafu_runtime._calls import stream_path
from quafu_runtime._client import headers_of, is_loopback, stream_url
from quafu_runtime._outputs import JobOutput
from quafu_runtime._stream import MAX_FRAME_BYTES, StreamState
from quafu_runtime._stream_sync import OPEN_SECONDS, PING_SECONDS, refuse_to_return
from quafu_runtime._wire import Reply
from quafu_runtime.errors import StreamBroken


class AsyncOutputStream(AsyncIterator[JobOutput]):
    """A job's outputs in order, each once, across lost connections; it ends when the job has.

    `aclose` may be called from another task: iteration then ends after what has been received.
    """

    def __init__(self, account: Account, state: StreamState) -> None:
        self._account = account
        self._state = state
        self._closed = asyncio.Event()
        self._connection: ClientConnection | None = None
        self._outputs = self._follow()

    @property
    def end(self) -> EndFrame | None:
        """How the job ended, once every output was delivered."""
        return self._state.end

    async def __anext__(self) -> JobOutput:
        return await anext(self._outputs)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop following. The job is not touched."""
        self._closed.set()
        connection = self._connection
        if connection is not None:
            await connection.close()

    async def _follow(self) -> AsyncIterator[JobOutput]:
        while not self._closed.is_set():
            cause: Exception | None = None
            try:
                async for output in self._one_connection():
                    yield output
            except InvalidStatus as exc:
                answer = exc.response
                refusal = self._state.refused(Reply(answer.status_code, bytes(answer.body or b"")))
                if not isinstance(refusal, StreamBroken):
                    raise refusal from exc
                cause = refusal
            except (StreamBroken, WebSocketException, OSError) as exc:
                cause = exc
            if self.end is not None or self._closed.is_set():
                return
            await self._pause(self._state.lost(cause, now=time.monotonic()))

    async def _one_connection(self) -> AsyncIterator[JobOutput]:
        account = self._account
        async with connect(
            stream_url(account, stream_path(self._state.job_id), self._state.query()),
            additional_headers=headers_of(account),
            user_agent_header=None,
            proxy=None if is_loopback(account.get_url()) else True,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=2.0,
            max_size=MAX_FRAME_BYTES,
        ) as connection:
            self._connection = connection
            self._state.opened(now=time.monotonic())
            try:
                while self.end is None and not self._closed.is_set():
                    for output in self._state.received(await connection.recv()):
                        yield output
            except ConnectionClosed as exc:
                refuse_to_return(exc)
                raise
            finally:
                self._connection = None

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            pass
