"""Python projects: the properties of the input are the arguments of `run` in `src/program.py`."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from qrt_runner import problems, project
from qrt_runner.encode import NotRepresentable, from_json
from qrt_runner.failures import Failure
from qrt_runner.order import Order, awaited, flush, within_limit
from qrt_runner.plain import written


def rehearse() -> None:
    """Go through the motions once, where this environment has what it takes."""
    if "qrt_runner.arguments" not in sys.modules:
        return
    from qrt_runner.arguments import arguments

    def run(data: dict[str, Any], number: float = 1.0) -> Any:
        return {"data": data, "number": number}

    written(run(**arguments(run, {"data": {"values": [1, "b"]}})))


def result(order: Order) -> bytes:
    """Carry out an order; return the result, a JSON text. Raises Failure, and whatever the program raises."""
    owner = os.getpid()
    if order.settings["mode"] == "describe":
        return _described(order)
    try:
        return _run(order)
    except SystemExit as exc:
        if exc.code not in (None, 0):
            raise
        _warn("run() ended the program by sys.exit(0) and returned nothing: its result is empty")
        return b"null"
    except BaseException as exc:
        if os.getpid() == owner:
            problems.write(exc)
        raise


def _described(order: Order) -> bytes:
    run = _loaded(order)
    _need_pydantic()
    from qrt_runner.describe import signature

    return json.dumps(signature(run)).encode()


def _run(order: Order) -> bytes:
    given = _given(order.input)
    project.write_input(given, order.settings["input"])
    run = _loaded(order)
    value = awaited(run(**_arguments(run, given, tagged=b'"$type"' in order.input)))
    try:
        told = written(value, project=order.settings["work"])
    except NotRepresentable as exc:
        raise Failure("InvalidResult", f"run() returned {exc}, which cannot be represented") from None
    text = within_limit(told.text.encode(), order)
    if told.nulled:
        where = told.first or "the top level"
        _warn(f"{told.nulled} numbers of the result were NaN or infinite and are null, the first at {where}")
    if value is not None:
        _keep("output.txt" if isinstance(value, str | int | float) else "output.json", told.text)
    return text


def _given(text: bytes) -> dict[str, Any]:
    """Return the properties of the input, without those that are meant for the runtime."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise Failure("InvalidInput", f"the input cannot be read as JSON: {exc}") from None
    if given is None:
        return {}
    if not isinstance(given, dict):
        reason = f"the input must be a JSON object with the arguments of run(), not {_kind(given)}"
        raise Failure("InvalidInput", reason, errors=[("", reason)])
    return {name: value for name, value in given.items() if not name.startswith("$")}


def _kind(value: Any) -> str:
    return {list: "an array", str: "a string", bool: "a boolean"}.get(type(value), "a number")


def _loaded(order: Order) -> Callable[..., Any]:
    root = order.settings["work"]
    project.unpack(order.source, root)
    return project.load(root)


def _arguments(run: Callable[..., Any], given: dict[str, Any], *, tagged: bool) -> dict[str, Any]:
    _need_pydantic()
    from qrt_runner.arguments import InvalidArguments, arguments

    decoded = {name: from_json(json.dumps(value)) for name, value in given.items()} if tagged else None
    try:
        return arguments(run, given, decoded=decoded)
    except InvalidArguments as exc:
        raise Failure("InvalidInput", str(exc), errors=exc.errors) from None


def _need_pydantic() -> None:
    try:
        import pydantic
    except ImportError:
        found = "none"
    else:
        found = pydantic.VERSION
    if found.split(".")[0] != "2":
        reason = f"the program's environment must hold pydantic 2, to read the input with; it holds {found}"
        raise Failure("ImportFailed", reason)


def _keep(name: str, text: str) -> None:
    """Write the result to the output directory too; the job's result stands without it."""
    try:
        project.write_output(name, text)
    except OSError as exc:
        _warn(f"the result could not be written to {name}: {exc.strerror}")


def _warn(text: str) -> None:
    flush()
    os.write(2, f"warning: {text}\n".encode("utf-8", "backslashreplace"))
