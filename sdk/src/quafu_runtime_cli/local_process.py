"""One program in a process of its own on this machine: the runner's side started, fed and heard.

The frames are those of a sandbox (`qrt_runner.frames`); the runner is never imported here, only run.
"""

import codecs
import importlib.util
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from qrt_contracts.values import Encoding, Limits
from quafu_runtime import InterimResult, JobOutput, LogText
from quafu_runtime_cli.endings import REFUSED, CommandFailed

JOB_ID = "local"
GRACE_SECONDS = 5.0
_HEADER = struct.Struct("!BI")
_START, _SOURCE, _INPUT, _INTERIM, _RESULT, _ERROR = 2, 3, 4, 5, 6, 7
_READ_BYTES = 1 << 16
_LOOK_SECONDS = 0.2
_Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True)
class LocalOrder:
    """What is to be run, and where it finds things."""

    kind: str
    source: bytes
    input: bytes
    settings: Mapping[str, Any]
    environ: Mapping[str, str]


@dataclass
class LocalEnd:
    """How a program has ended: by a result, an error that it told, or only its exit."""

    result: Any = None
    returned: bool = False
    error: dict[str, Any] | None = None
    exit_code: int = 0
    timed_out: bool = False


def runner_folder() -> Path:
    """Return where the runner is installed. Raises CommandFailed."""
    spec = importlib.util.find_spec("qrt_runner")
    if spec is None or not spec.submodule_search_locations:
        raise CommandFailed(
            "NotInstalled",
            "the runner of programs is not installed here",
            "pip install qrt-runner, or packages/runner of the runtime's source",
            REFUSED,
            "The runner is not installed",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def program_python(named: str | None) -> str:
    """Return the Python that programs get: the one named, the runtime's own for programs, or this one."""
    beside = Path(sys.prefix) / "programs" / "bin" / "python"
    found = named or os.environ.get("QRT_PROGRAM_PYTHON") or (str(beside) if beside.exists() else None)
    return found or sys.executable


@dataclass
class LocalProgram:
    """A program that runs here; iterating over it gives what it puts out, until it has ended."""

    python: str
    order: LocalOrder
    deadline: float | None = None
    end: LocalEnd = field(default_factory=LocalEnd)
    _number: int = 0
    _frames: bytearray = field(default_factory=bytearray)

    def __iter__(self) -> Iterator[JobOutput]:
        """Start it and yield its outputs in order; however this is left, nothing of it goes on."""
        own, its = socket.socketpair()
        with own:
            with its:
                process = self._started(its)
            try:
                self._send(own)
                yield from self._heard(own, process)
            finally:
                self._stop(process)
        self.end.exit_code = process.returncode

    def _started(self, its: socket.socket) -> "subprocess.Popen[bytes]":
        script = str(runner_folder() / "local.py")
        hidden = {name: text for name, text in os.environ.items() if not name.startswith("QUAFU_RUNTIME_")}
        return subprocess.Popen(  # noqa: S603 - the person's own program, on the person's own machine
            [self.python, "-P", "-B", script, str(its.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(its.fileno(),),
            start_new_session=True,
            env=hidden | {"OPENBLAS_NUM_THREADS": "1"},
        )

    def _send(self, own: socket.socket) -> None:
        limits = Limits()
        settings = {
            "kind": self.order.kind,
            "mode": "run",
            "message_bytes": limits.message_bytes,
            "result_bytes": limits.result_bytes,
            "environ": dict(self.order.environ),
            **self.order.settings,
        }
        frames = (
            (_START, json.dumps(settings).encode()),
            (_SOURCE, self.order.source),
            (_INPUT, self.order.input),
        )
        with suppress(OSError):  # it has ended already: its exit tells more
            for kind, payload in frames:
                own.sendall(_HEADER.pack(kind, len(payload)) + payload)

    def _heard(self, own: socket.socket, process: "subprocess.Popen[bytes]") -> Iterator[JobOutput]:
        assert process.stdout is not None  # noqa: S101 - both are pipes
        assert process.stderr is not None  # noqa: S101
        pipes = {"stdout": process.stdout.fileno(), "stderr": process.stderr.fileno()}
        decoders = {name: codecs.getincrementaldecoder("utf-8")("backslashreplace") for name in pipes}
        with selectors.DefaultSelector() as ready:
            for name, fd in pipes.items():
                os.set_blocking(fd, False)
                ready.register(fd, selectors.EVENT_READ, name)
            ready.register(own, selectors.EVENT_READ, None)
            while ready.get_map():
                events = ready.select(self._patience())
                if self._is_late():
                    self.end.timed_out = True
                    return
                if not events and process.poll() is not None:
                    return  # what it has started may hold its ends open, and is stopped with it
                # What it printed before it published something comes before that.
                for name, fd in pipes.items():
                    if fd in ready.get_map():
                        yield from self._printed(ready, fd, name, decoders[name])
                if any(key.fileobj is own for key, _ in events):
                    yield from self._framed(ready, own)

    def _printed(
        self, ready: selectors.BaseSelector, fd: int, name: Any, decoder: codecs.IncrementalDecoder
    ) -> Iterator[JobOutput]:
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        text = decoder.decode(data, final=not data)
        if not data:
            ready.unregister(fd)
        if text:
            yield LogText(**self._place(), stream=name, text=text)

    def _framed(self, ready: selectors.BaseSelector, own: socket.socket) -> Iterator[JobOutput]:
        try:
            data = own.recv(_READ_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            ready.unregister(own)
        self._frames += data
        while (frame := _take(self._frames)) is not None:
            kind, payload = frame
            if kind == _INTERIM:
                yield self._interim(payload)
            elif kind == _RESULT:
                self.end.result, self.end.returned = json.loads(payload), True
            elif kind == _ERROR:
                self.end.error = json.loads(payload)

    def _interim(self, payload: bytes) -> InterimResult:
        data = payload[1:]
        encoding = {b"s": Encoding.TEXT, b"j": Encoding.JSON}.get(payload[:1], Encoding.UTF8)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            encoding, text = Encoding.BASE64, codecs.encode(data, "base64").decode().replace("\n", "")
        return InterimResult(**self._place(), encoding=encoding, text=text)

    def _place(self) -> dict[str, Any]:
        self._number += 1
        return {"job_id": JOB_ID, "attempt": 1, "number": self._number, "at": datetime.now(UTC)}

    def _patience(self) -> float:
        if self.deadline is None:
            return _LOOK_SECONDS
        return max(0.0, min(_LOOK_SECONDS, self.deadline - time.monotonic()))

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _stop(self, process: "subprocess.Popen[bytes]") -> None:
        """End what is left of it: it is asked first, and killed if it does not listen."""
        with process:  # closes the pipes
            for number, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, None)):
                if self.end.returned or self.end.error:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(1.0)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(patience)


def _take(buffer: bytearray) -> tuple[int, bytes] | None:
    if len(buffer) < _HEADER.size:
        return None
    kind, size = _HEADER.unpack_from(buffer)
    if len(buffer) < _HEADER.size + size:
        return None
    payload = bytes(buffer[_HEADER.size : _HEADER.size + size])
    del buffer[: _HEADER.size + size]
    return kind, payload
