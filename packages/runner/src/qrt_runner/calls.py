"""What a program asks of the executor, one question at a time, and tells it, over its event socket."""

import json
import os
import socket
import threading
from contextlib import AbstractContextManager
from typing import Any

from qrt_runner import frames


class CallRefused(Exception):
    """The executor's answer is a refusal: `kind` is `user`, `circuit` or `backend`."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Calls:
    """The program's end of the calls. Safe to use from any thread of the program."""

    def __init__(self, channel: socket.socket, lock: AbstractContextManager[Any]) -> None:
        self._channel = channel
        self._sending = lock
        self._turn = threading.Lock()
        self._process = os.getpid()

    def ask(self, method: str, **fields: Any) -> Any:
        """Ask, wait, and return the answer.

        Raises:
            CallRefused: the executor will not or cannot.
            RuntimeError: called in a process the program has forked.
        """
        question = self._question(method, fields)
        with self._turn:
            with self._sending:
                frames.send(self._channel, frames.Frame.CALL, question)
            _, answer = frames.receive(self._channel)
        reply = json.loads(answer)
        if refusal := reply.get("refused"):
            raise CallRefused(refusal["kind"], refusal["detail"])
        return reply["answer"]

    def tell(self, method: str, **fields: Any) -> None:
        """Say something that needs no answer, and go on at once.

        Raises:
            RuntimeError: called in a process the program has forked.
        """
        question = self._question(method, fields)
        with self._sending:
            frames.send(self._channel, frames.Frame.TELL, question)

    def _question(self, method: str, fields: dict[str, Any]) -> bytes:
        if os.getpid() != self._process:
            raise RuntimeError("task works in the program's own process only, not in a fork")
        return json.dumps({"method": method, **fields}).encode()
