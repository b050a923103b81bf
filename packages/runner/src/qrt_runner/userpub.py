"""`userpub`, the second argument of a program's `run`: how it publishes interim results."""

import os
import socket
import threading
import time
from contextlib import AbstractContextManager
from typing import Any

from qrt_runner import frames
from qrt_runner.encode import NotRepresentable, Progress, to_json

PROGRESS_SECONDS = 0.1
"""Progress is told no more often than this, but for its last step."""


class PublishLimit(RuntimeError):
    """An interim result is larger than the program's limit allows."""


class UserPub:
    """Publishes interim results to whoever listens to the job, and to the job's record."""

    def __init__(
        self, channel: socket.socket, *, message_bytes: int, lock: AbstractContextManager[Any] | None = None
    ) -> None:
        self._channel = channel
        self._message_bytes = message_bytes
        self._lock = lock or threading.Lock()  # of everything that is sent on the channel
        self._process = os.getpid()
        self._progress_at = -PROGRESS_SECONDS

    def publish(self, message: Any) -> None:
        """Publish one interim result: bytes, str, or any value that `encode.to_json` can write.

        Blocks while the runtime is behind. Safe to call from any thread of the program.

        Raises:
            TypeError: the value is none of these; the text says what and where.
            PublishLimit: it is larger than the limit on one interim result.
            RuntimeError: called in a process the program has forked.
        """
        if os.getpid() != self._process:
            raise RuntimeError("userpub.publish() works in the program's own process only, not in a fork")
        encoding, data = _encoded(message)
        if len(data) > self._message_bytes:
            raise PublishLimit(
                f"an interim result of {len(data)} bytes is over the limit of {self._message_bytes} bytes"
            )
        with self._lock:
            frames.send(self._channel, frames.Frame.INTERIM, encoding, data)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far the program has come, which listeners show as a bar. Cheap to call in a loop.

        Args:
            done: how much is done, in any unit.
            total: how much there is to do, in the same unit; None if nobody knows.
            message: what is being done.
        """
        now = time.monotonic()
        if now - self._progress_at < PROGRESS_SECONDS and (total is None or done < total):
            return
        self._progress_at = now
        self.publish(Progress(done, total, message))


def _encoded(message: Any) -> tuple[bytes, bytes]:
    if isinstance(message, bytes | bytearray | memoryview):
        return b"b", bytes(message)
    try:
        if isinstance(message, str):
            return b"s", message.encode()
        return b"j", to_json(message).encode()
    except UnicodeEncodeError as exc:
        raise TypeError(f"userpub.publish() cannot send a str that is no Unicode text: {exc}") from None
    except NotRepresentable as exc:
        raise TypeError(
            f"userpub.publish() takes bytes, str, or a value that can be represented; this holds {exc}"
        ) from None
