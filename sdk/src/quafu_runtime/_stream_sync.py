"""Following a job's outputs, blocking: connections under the rules of `_stream`."""

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from qrt_contracts.api import EndFrame
from quafu_runtime._account import Account
from quafu_runtime._calls import stream_path
from quafu_runtime._client import headers_of, is_loopback, stream_url
from quafu_runtime._outputs import JobOutput
from quafu_runtime._stream import MAX_FRAME_BYTES, StreamState
from quafu_runtime._wire import Reply
from quafu_runtime.errors import InvalidState, StreamBroken

OPEN_SECONDS = 10.0
PING_SECONDS = 20.0


class OutputStream(Iterator[JobOutput]):
    """A job's outputs in order, each once, across lost connections; it ends when the job has.

    `close` may be called from any thread: iteration then ends after what has been received.
    """

    def __init__(self, account: Account, state: StreamState) -> None:
        self._account = account
        self._state = state
        self._closed = threading.Event()
        self._connection: ClientConnection | None = None
        self._outputs = self._follow()

    @property
    def end(self) -> EndFrame | None:
        """How the job ended, once every output was delivered."""
        return self._state.end

    def __next__(self) -> JobOutput:
        return next(self._outputs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop following. The job is not touched."""
        self._closed.set()
        connection = self._connection
        if connection is not None:
            connection.close()

    def _follow(self) -> Iterator[JobOutput]:
        while not self._closed.is_set():
            cause: Exception | None = None
            try:
                yield from self._one_connection()
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
            self._closed.wait(self._state.lost(cause, now=time.monotonic()))

    def _one_connection(self) -> Iterator[JobOutput]:
        account = self._account
        with connect(
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
                    yield from self._state.received(connection.recv())
            except ConnectionClosed as exc:
                refuse_to_return(exc)
                raise
            finally:
                self._connection = None


def refuse_to_return(closed: ConnectionClosed) -> None:
    """Raise if the server's close code says that coming back is of no use."""
    if closed.rcvd is not None and closed.rcvd.code == 1008:
        raise InvalidState(f"the runtime refuses the stream: {closed.rcvd.reason}") from closed
