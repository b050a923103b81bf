"""Following outputs, asynchronously: the twin of `_stream_sync`."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Self, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from qrt_contracts.api import EndFrame
from quafu_runtime._account import Account
from quafu_runtime._client import headers_of, is_loopback, stream_url
from quafu_runtime._many import JobEvent, ManyState
from quafu_runtime._outputs import JobOutput
from quafu_runtime._stream import MAX_FRAME_BYTES, Place, StreamState
from quafu_runtime._stream_sync import OPEN_SECONDS, PING_SECONDS, refuse_to_return
from quafu_runtime._wire import Reply
from quafu_runtime.errors import StreamBroken

T = TypeVar("T")


class AsyncStream(AsyncIterator[T]):
    """What comes to one listener, across lost connections.

    `aclose` may be called from another task: iteration then ends after what has been received.
    """

    def __init__(self, account: Account, place: Place[T]) -> None:
        self._account = account
        self._place = place
        self._closed = asyncio.Event()
        self._connection: ClientConnection | None = None
        self._coming = self._follow()

    async def __anext__(self) -> T:
        return await anext(self._coming)

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

    async def _follow(self) -> AsyncIterator[T]:
        while not self._closed.is_set():
            cause: Exception | None = None
            try:
                async with aclosing(self._one_connection()) as coming:
                    async for output in coming:
                        yield output
            except InvalidStatus as exc:
                answer = exc.response
                refusal = self._place.refused(Reply(answer.status_code, bytes(answer.body or b"")))
                if not isinstance(refusal, StreamBroken):
                    raise refusal from exc
                cause = refusal
            except (StreamBroken, WebSocketException, OSError) as exc:
                cause = exc
            if self._place.done or self._closed.is_set():
                return
            await self._pause(self._place.lost(cause, now=time.monotonic()))

    async def _one_connection(self) -> AsyncGenerator[T, None]:
        account = self._account
        async with connect(
            stream_url(account, self._place.path, self._place.query()),
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
            self._place.opened(now=time.monotonic())
            for greeting in self._place.greetings:
                await connection.send(greeting)
            try:
                while not self._place.done and not self._closed.is_set():
                    for output in self._place.received(await connection.recv()):
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


class AsyncOutputStream(AsyncStream[JobOutput]):
    """A job's outputs in order, each once, across lost connections; it ends when the job has."""

    def __init__(self, account: Account, state: StreamState) -> None:
        super().__init__(account, state)
        self._state = state

    @property
    def end(self) -> EndFrame | None:
        """How the job ended, once every output was delivered."""
        return self._state.end


class AsyncJobsStream(AsyncStream[JobEvent]):
    """What happens to many jobs, on one connection; see `JobsStream`."""

    def __init__(self, account: Account, state: ManyState) -> None:
        super().__init__(account, state)
        self._state = state

    async def follow(self, job_id: str, *, after: int = 0, attempt: int = 0) -> None:
        """Follow one more job. The server's limit is 100 at a time: it answers with a `JobRefused`."""
        await self._say(self._state.follow(job_id, after=after, attempt=attempt))

    async def leave(self, job_id: str) -> None:
        """Follow a job no more."""
        await self._say(self._state.leave(job_id))

    async def _say(self, text: str) -> None:
        connection = self._connection
        if connection is not None:  # otherwise the next connection begins with it
            with suppress(ConnectionClosed):
                await connection.send(text)
