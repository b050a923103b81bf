"""Following outputs, blocking: connections under the rules of `_stream`."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from qrt_contracts.api import EndFrame
from quafu_runtime._account import Account
from quafu_runtime._client import headers_of, is_loopback, stream_url
from quafu_runtime._many import JobEvent, ManyState
from quafu_runtime._outputs import JobOutput
from quafu_runtime._stream import MAX_FRAME_BYTES, Place, StreamState
from quafu_runtime._wire import Reply
from quafu_runtime.errors import InvalidState, StreamBroken

T = TypeVar("T")

OPEN_SECONDS = 10.0
PING_SECONDS = 20.0


class Stream(Iterator[T]):
    """What comes to one listener, across lost connections.

    `close` may be called from any thread: iteration then ends after what has been received.
    """

    def __init__(self, account: Account, place: Place[T]) -> None:
        self._account = account
        self._place = place
        self._closed = threading.Event()
        self._connection: ClientConnection | None = None
        self._coming = self._follow()

    def __next__(self) -> T:
        return next(self._coming)

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

    def _follow(self) -> Iterator[T]:
        while not self._closed.is_set():
            cause: Exception | None = None
            try:
                yield from self._one_connection()
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
            self._closed.wait(self._place.lost(cause, now=time.monotonic()))

    def _one_connection(self) -> Iterator[T]:
        account = self._account
        with connect(
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
                connection.send(greeting)
            try:
                while not self._place.done and not self._closed.is_set():
                    yield from self._place.received(connection.recv())
            except ConnectionClosed as exc:
                refuse_to_return(exc)
                raise
            finally:
                self._connection = None


class OutputStream(Stream[JobOutput]):
    """A job's outputs in order, each once, across lost connections; it ends when the job has."""

    def __init__(self, account: Account, state: StreamState) -> None:
        super().__init__(account, state)
        self._state = state

    @property
    def end(self) -> EndFrame | None:
        """How the job ended, once every output was delivered."""
        return self._state.end


class JobsStream(Stream[JobEvent]):
    """What happens to many jobs, on one connection; of each job all outputs in order, each once.

    Jobs may be followed and left at any time, from any thread. It ends when the last one followed has,
    unless it follows all of an account's.
    """

    def __init__(self, account: Account, state: ManyState) -> None:
        super().__init__(account, state)
        self._state = state

    def follow(self, job_id: str, *, after: int = 0, attempt: int = 0) -> None:
        """Follow one more job. The server's limit is 100 at a time: it answers with a `JobRefused`."""
        self._say(self._state.follow(job_id, after=after, attempt=attempt))

    def leave(self, job_id: str) -> None:
        """Follow a job no more."""
        self._say(self._state.leave(job_id))

    def _say(self, text: str) -> None:
        connection = self._connection
        if connection is not None:  # otherwise the next connection begins with it
            with suppress(ConnectionClosed):
                connection.send(text)


def refuse_to_return(closed: ConnectionClosed) -> None:
    """Raise if the server's close code says that coming back is of no use."""
    if closed.rcvd is not None and closed.rcvd.code == 1008:
        raise InvalidState(f"the runtime refuses the stream: {closed.rcvd.reason}") from closed
