"""Run one program: load its source, call `run(task, userpub, params)`, report what came of it.

This runs in the program's own process, so everything it reports is only a claim.
"""

import asyncio
import contextlib
import errno
import gc
import inspect
import json
import linecache
import os
import random
import socket
import sys
import tempfile
import threading
import traceback
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any, NoReturn

from qrt_runner import frames, system, warmup
from qrt_runner.calls import Calls
from qrt_runner.encode import NotRepresentable, from_json, to_json
from qrt_runner.quafu_bridge import NoTask
from qrt_runner.userpub import PublishLimit, UserPub

NAME = "program.py"
_HERE = os.path.dirname(os.path.abspath(__file__))
_TRACEBACK_CHARACTERS = 64 * 1024
_DETAIL_CHARACTERS = 4096


@dataclass(frozen=True)
class Order:
    """What the executor has told this process to run."""

    settings: dict[str, Any]
    source: bytes
    input: bytes


class Failure(Exception):
    """The program has failed in a way that has a code of its own."""

    def __init__(self, code: str, detail: str, cause: BaseException | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.cause = code, detail, cause


def receive_order(channel: socket.socket) -> Order:
    """Wait, parked, for the three frames that start a run. Raises EOFError if none will come."""
    wanted = (frames.Frame.START, frames.Frame.SOURCE, frames.Frame.INPUT)
    payloads: list[bytes] = []
    for frame in wanted:
        kind, payload = frames.receive(channel)
        if kind != frame:
            raise EOFError(f"frame {kind} in place of {frame}")
        payloads.append(payload)
    return Order(settings=json.loads(payloads[0]), source=payloads[1], input=payloads[2])


_REHEARSAL = b"""
import json
def run(task, userpub, params):
    print(end="")
    return {"value": [params, 1.5, "text"]}
"""


def rehearse(task_class: type | None) -> None:
    """Go through the motions once, before there is an order.

    A forked process copies each page of the zygote at its first touch; touched here, while it waits,
    those of a program's start cost the program nothing.
    """
    run = _entry_point(_load(_REHEARSAL))
    value = run(None, None, _params(b'{"a": [1, "b"]}'))
    to_json(value).encode()
    if task_class is not None:
        warmup.simulate_once()
    random.seed()
    _flush()
    del sys.modules["program"], linecache.cache[NAME]


def run_and_exit(order: Order, channel: socket.socket, task_class: type | None) -> NoReturn:
    """Run the program and end this process; never returns, whatever the program does."""
    owner = os.getpid()
    status = 1
    try:
        _settle_in(order.settings)
    except BaseException:  # noqa: BLE001 - whatever it is, it is no fault of the program's
        report_fault(channel)
        os._exit(status)
    try:
        status = _attempt(order, channel, task_class, owner)
    finally:
        os._exit(status)


def _attempt(order: Order, channel: socket.socket, task_class: type | None, owner: int) -> int:
    try:
        text = _result(order, channel, task_class)
        _flush()
        if os.getpid() == owner:
            frames.send(channel, frames.Frame.RESULT, text)
    except BaseException as exc:  # noqa: BLE001 - a program may raise anything, SystemExit included
        _flush()
        if os.getpid() == owner:
            _report(channel, exc)
        return _exit_status(exc)
    return 0


def _result(order: Order, channel: socket.socket, task_class: type | None) -> bytes:
    run = _entry_point(_load(order.source))
    params = _params(order.input)
    backend = order.settings.get("backend")
    lock = threading.Lock()
    task: Any = NoTask() if task_class is None else task_class(backend, Calls(channel, lock))
    userpub = UserPub(channel, message_bytes=order.settings["message_bytes"], lock=lock)
    value = awaited(run(task, userpub, params))
    try:
        text = to_json(value).encode()
    except NotRepresentable as exc:
        raise Failure("InvalidResult", f"run() returned {exc}, which cannot be represented") from None
    limit = order.settings["result_bytes"]
    if len(text) > limit:
        raise Failure("OutputLimitExceeded", f"the result has {len(text)} bytes; the limit is {limit} bytes")
    return text


def awaited(value: Any) -> Any:
    """Return what `run` has returned; of an `async def run`, what it returns in the end."""
    if not inspect.isawaitable(value):
        return value
    awaitable = value

    async def main() -> Any:
        return await awaitable

    return asyncio.run(main())


def _settle_in(settings: dict[str, Any]) -> None:
    os.chdir(settings["work"])
    os.environ.update(settings["environ"])
    os.environ.update(
        HOME=settings["work"],
        TMPDIR=settings["tmp"],
        INPUT_DIRECTORY=settings["input"],
        OUTPUT_DIRECTORY=settings["output"],
    )
    tempfile.tempdir = None
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()  # a forked child would repeat its siblings' numbers
    gc.enable()


def _load(source: bytes) -> ModuleType:
    code = _compiled(source)
    text = source.decode("utf-8-sig", "replace")
    linecache.cache[NAME] = (len(text), None, text.splitlines(keepends=True), NAME)
    module = ModuleType("program")
    module.__file__ = NAME
    sys.modules["program"] = module
    try:
        exec(code, module.__dict__)  # noqa: S102 - running it is what the jail is for
    except (SystemExit, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as exc:
        raise Failure("ImportFailed", _described(exc), exc) from exc
    return module


def _compiled(source: bytes) -> CodeType:
    try:
        return compile(source, NAME, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as exc:  # ValueError: a NUL in the source
        raise Failure("ImportFailed", _described(exc), exc) from exc


def _entry_point(module: ModuleType) -> Any:
    run = getattr(module, "run", None)
    if run is None:
        raise Failure("ImportFailed", "the program defines no function run(task, userpub, params)")
    if not callable(run):
        raise Failure("ImportFailed", f"the program's run is of type {type(run).__name__}, not a function")
    try:
        signature = inspect.signature(run)
    except (TypeError, ValueError):
        return run  # a callable that does not tell; calling it will
    try:
        signature.bind(None, None, None)
    except TypeError:
        raise Failure(
            "ImportFailed",
            f"run is called as run(task, userpub, params), but the program defines run{signature}",
        ) from None
    return run


def _params(text: bytes) -> Any:
    try:
        return from_json(text)
    except (ValueError, RecursionError) as exc:
        raise Failure("InvalidInput", f"the input cannot be read as JSON: {exc}") from None


def _report(channel: socket.socket, exc: BaseException) -> None:
    code, detail, trace = _claim(exc)
    payload = json.dumps({"code": code, "detail": detail[:_DETAIL_CHARACTERS], "traceback": trace})
    with contextlib.suppress(OSError):
        frames.send(channel, frames.Frame.ERROR, payload.encode())


def _claim(exc: BaseException) -> tuple[str, str, str | None]:
    match exc:
        case Failure():
            return exc.code, exc.detail, None if exc.cause is None else trace_of(exc.cause)
        case SystemExit():
            return "ProgramExited", f"the program called sys.exit({_shown(exc.code)})", trace_of(exc)
        case MemoryError() | OSError(errno=errno.ENOMEM):
            return "MemoryLimitExceeded", _described(exc), trace_of(exc)
        case PublishLimit():
            return "OutputLimitExceeded", _described(exc), trace_of(exc)
        case _:
            return "ProgramError", _described(exc), trace_of(exc)


def report_fault(channel: socket.socket) -> None:
    """Report the exception being handled, which is the runtime's own, before any program has run."""
    detail = traceback.format_exc(limit=-3)[-_DETAIL_CHARACTERS:]
    payload = json.dumps({"code": "ExecutorFault", "detail": detail, "traceback": None})
    with contextlib.suppress(OSError):
        frames.send(channel, frames.Frame.ERROR, payload.encode())


def _exit_status(exc: BaseException) -> int:
    if not isinstance(exc, SystemExit):
        return 1
    if exc.code is None:
        return 0
    return exc.code & 0xFF if isinstance(exc.code, int) else 1


def _shown(value: Any) -> str:
    if value is None:
        return ""
    try:
        return repr(value)[:200]
    except BaseException:  # noqa: BLE001
        return "<no repr>"


def _described(exc: BaseException) -> str:
    """`Type: message`, for exceptions whose `__str__` raises too."""
    try:
        message = str(exc)
    except BaseException:  # noqa: BLE001
        message = "<its __str__ raised>"
    name = type(exc).__name__
    return f"{name}: {message}" if message else name


def trace_of(exc: BaseException) -> str | None:
    """Return the traceback as Python prints it, without the frames of this package."""
    try:
        report = traceback.TracebackException.from_exception(exc, compact=True)
        _strip(report)
        text = "".join(report.format())
    except BaseException:  # noqa: BLE001 - an exception's own methods may do anything
        return None
    if len(text) > _TRACEBACK_CHARACTERS:
        half = _TRACEBACK_CHARACTERS // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
    return text.encode("utf-8", "replace").decode()


def _strip(report: traceback.TracebackException | None) -> None:
    if report is None:
        return
    if report.stack is not None:
        kept = [f for f in report.stack if not f.filename.startswith((_HERE, "<frozen importlib"))]
        report.stack = traceback.StackSummary.from_list(kept)
    _strip(report.__cause__)
    _strip(report.__context__)
    for inner in report.exceptions or ():
        _strip(inner)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(BaseException):
            stream.flush()  # type: ignore[union-attr]
    system.flush_c_streams()
