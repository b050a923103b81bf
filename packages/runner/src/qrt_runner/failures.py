"""How a program has failed: what is told of an exception, and of the runtime's own faults.

All of it is text to show. An exception's own methods may do anything, so each is asked with care.
"""

import contextlib
import errno
import json
import os
import socket
import traceback
from collections.abc import Sequence
from typing import Any

from qrt_runner import frames
from qrt_runner.userpub import PublishLimit

_HERE = os.path.dirname(os.path.abspath(__file__))
_TRACEBACK_CHARACTERS = 64 * 1024
_DETAIL_CHARACTERS = 4096
_ERRORS = 50
"""Places of an input that are told one by one."""


class Failure(Exception):
    """The program has failed in a way that has a code of its own.

    `errors` are (JSON pointer, reason) pairs, where the fault is in the input.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        cause: BaseException | None = None,
        *,
        errors: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.cause, self.errors = code, detail, cause, tuple(errors)


def report(channel: socket.socket, exc: BaseException, *, project: str | None = None) -> None:
    """Tell the executor how the program has failed; the paths of its files are shown as below `project`."""
    code, detail, cause = claim(exc)
    fields = {
        "code": code,
        "detail": detail[:_DETAIL_CHARACTERS],
        "traceback": None if cause is None else trace_of(cause, project=project),
        "errors": [
            {"pointer": pointer[:_DETAIL_CHARACTERS], "detail": reason[:_DETAIL_CHARACTERS]}
            for pointer, reason in (exc.errors[:_ERRORS] if isinstance(exc, Failure) else ())
        ],
    }
    with contextlib.suppress(OSError):
        frames.send(channel, frames.Frame.ERROR, json.dumps(fields).encode())


def claim(exc: BaseException) -> tuple[str, str, BaseException | None]:
    """Return the code and the detail of a failure, and the exception whose traceback tells more."""
    match exc:
        case Failure():
            return exc.code, exc.detail, exc.cause
        case SystemExit():
            return "ProgramExited", f"the program called sys.exit({_shown(exc.code)})", exc
        case MemoryError() | OSError(errno=errno.ENOMEM):
            return "MemoryLimitExceeded", described(exc), exc
        case PublishLimit():
            return "OutputLimitExceeded", described(exc), exc
        case _:
            return "ProgramError", described(exc), exc


def report_fault(channel: socket.socket) -> None:
    """Report the exception being handled, which is the runtime's own, before any program has run."""
    detail = traceback.format_exc(limit=-3)[-_DETAIL_CHARACTERS:]
    payload = json.dumps({"code": "ExecutorFault", "detail": detail, "traceback": None})
    with contextlib.suppress(OSError):
        frames.send(channel, frames.Frame.ERROR, payload.encode())


def exit_status(exc: BaseException) -> int:
    """Return the exit status of a process that ends by this exception."""
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


def described(exc: BaseException) -> str:
    """`Type: message`, for exceptions whose `__str__` raises too."""
    try:
        message = str(exc)
    except BaseException:  # noqa: BLE001
        message = "<its __str__ raised>"
    name = type(exc).__name__
    return f"{name}: {message}" if message else name


def trace_of(exc: BaseException, *, project: str | None = None) -> str | None:
    """Return the traceback as Python prints it, without the frames of this package.

    Files below `project` are named by their paths in it.
    """
    try:
        report = traceback.TracebackException.from_exception(exc, compact=True)
        _strip(report, project)
        text = "".join(report.format())
    except BaseException:  # noqa: BLE001 - an exception's own methods may do anything
        return None
    if len(text) > _TRACEBACK_CHARACTERS:
        half = _TRACEBACK_CHARACTERS // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
    return text.encode("utf-8", "replace").decode()


def _strip(report: traceback.TracebackException | None, project: str | None) -> None:
    if report is None:
        return
    if report.stack is not None:
        kept = [f for f in report.stack if not f.filename.startswith((_HERE, "<frozen importlib"))]
        for frame in kept:
            if project is not None and frame.filename.startswith(project + os.sep):
                frame.filename = frame.filename[len(project) + 1 :]
        report.stack = traceback.StackSummary.from_list(kept)
    _strip(report.__cause__, project)
    _strip(report.__context__, project)
    for inner in report.exceptions or ():
        _strip(inner, project)
