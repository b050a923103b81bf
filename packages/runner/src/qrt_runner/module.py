"""Programs of one module, written for the Quafu Runtime: `run(task, userpub, params)`."""

import inspect
import linecache
import socket
import sys
import threading
from types import CodeType, ModuleType
from typing import Any

from qrt_runner import warmup
from qrt_runner.calls import Calls
from qrt_runner.encode import NotRepresentable, from_json, to_json
from qrt_runner.failures import Failure, described
from qrt_runner.order import Order, awaited, flush, within_limit
from qrt_runner.quafu_bridge import NoTask
from qrt_runner.userpub import UserPub

NAME = "program.py"

_REHEARSAL = b"""
import json
def run(task, userpub, params):
    print(end="")
    return {"value": [params, 1.5, "text"]}
"""


def rehearse(task_class: type | None) -> None:
    """Go through the motions once, before there is an order, and leave no trace of it."""
    run = _entry_point(_load(_REHEARSAL))
    value = run(None, None, _params(b'{"a": [1, "b"]}'))
    to_json(value).encode()
    if task_class is not None:
        warmup.simulate_once()
    flush()
    del sys.modules["program"], linecache.cache[NAME]


def result(order: Order, channel: socket.socket, task_class: type | None) -> bytes:
    """Run the program; return its result, a JSON text. Raises Failure, and whatever the program raises."""
    run = _entry_point(_load(order.source))
    params = _params(order.input)
    backend = order.settings.get("backend")
    lock = threading.Lock()
    task: Any = NoTask() if task_class is None else task_class(backend, Calls(channel, lock))
    userpub = UserPub(channel, message_bytes=order.settings["message_bytes"], lock=lock)
    value = awaited(_called(run, task, userpub, params))
    try:
        text = to_json(value).encode()
    except NotRepresentable as exc:
        raise Failure("InvalidResult", f"run() returned {exc}, which cannot be represented") from None
    return within_limit(text, order)


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
        raise Failure("ImportFailed", described(exc), exc) from exc
    return module


def _compiled(source: bytes) -> CodeType:
    try:
        return compile(source, NAME, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as exc:  # ValueError: a NUL in the source
        raise Failure("ImportFailed", described(exc), exc) from exc


def _entry_point(module: ModuleType) -> Any:
    run = getattr(module, "run", None)
    if run is None:
        raise Failure("ImportFailed", "the program defines no function run(task, userpub, params)")
    if not callable(run):
        raise Failure("ImportFailed", f"the program's run is of type {type(run).__name__}, not a function")
    return run


def _called(run: Any, *arguments: Any) -> Any:
    try:
        return run(*arguments)
    except TypeError as exc:
        inside = exc.__traceback__ and exc.__traceback__.tb_next
        if inside is None and (signature := _other_signature(run)) is not None:
            raise Failure(
                "ImportFailed",
                f"run is called as run(task, userpub, params), but the program defines run{signature}",
            ) from None
        raise


def _other_signature(run: Any) -> inspect.Signature | None:
    """Return what `run` takes if that is not `task, userpub, params`."""
    try:
        signature = inspect.signature(run)
    except (TypeError, ValueError):
        return None  # a callable that does not tell
    try:
        signature.bind(None, None, None)
    except TypeError:
        return signature
    return None


def _params(text: bytes) -> Any:
    try:
        return from_json(text)
    except (ValueError, RecursionError) as exc:
        raise Failure("InvalidInput", f"the input cannot be read as JSON: {exc}") from None
