"""From a Python value to JSON text, strictly: what JSON cannot hold is named, with its place.

`json.dumps` alone turns keys into strings, writes NaN, and says nothing of where a value stands;
here a value either survives the round trip or is refused.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 500
"""Containers inside one another; readers on the way refuse more than about a thousand."""


class NotRepresentable(ValueError):
    """A value JSON cannot hold; `pointer` (RFC 6901) says where it stands."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{reason} at {pointer or 'the top level'}")
        self.pointer = pointer
        self.reason = reason


class _Open:
    """A container whose members are being looked at."""

    __slots__ = ("container", "key", "members")

    def __init__(self, container: Any) -> None:
        self.container = container
        self.key: Any = None
        self.members: Iterator[tuple[Any, Any]] = (
            iter(container.items()) if isinstance(container, dict) else iter(enumerate(container))
        )


def to_json(value: Any) -> str:
    """Return the JSON text of `value`.

    dict (with str keys), list, tuple, str, int, finite float, bool and None are representable.

    Raises:
        NotRepresentable: anything else, a cycle, or more than `MAX_DEPTH` levels.
    """
    _check(value)
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
    except ValueError as exc:  # an int of more digits than Python writes
        raise NotRepresentable("", str(exc)) from None
    except RecursionError:
        raise NotRepresentable("", "a value too deep for the interpreter's recursion limit") from None


def _check(value: Any) -> None:
    path: list[_Open] = []
    ancestors: set[int] = set()
    _visit(value, path, ancestors)
    while path:
        top = path[-1]
        try:
            key, member = next(top.members)
        except StopIteration:
            ancestors.discard(id(top.container))
            path.pop()
            continue
        top.key = key
        if isinstance(top.container, dict):
            _check_key(key, path)
        _visit(member, path, ancestors)


def _visit(value: Any, path: list[_Open], ancestors: set[int]) -> None:
    if value is None or isinstance(value, bool | int):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise NotRepresentable(_pointer(path), f"{float(value)!r}, which is no JSON number,")
    elif isinstance(value, dict | list | tuple):
        if id(value) in ancestors:
            raise NotRepresentable(_pointer(path), f"a {type(value).__name__} that contains itself")
        if len(path) >= MAX_DEPTH:
            raise NotRepresentable(_pointer(path[:3]), f"a value nested more than {MAX_DEPTH} levels deep")
        ancestors.add(id(value))
        path.append(_Open(value))
    else:
        raise NotRepresentable(_pointer(path), f"a value of type {_type_name(value)}{_hint(value)}")


def _check_key(key: Any, path: list[_Open]) -> None:
    if not isinstance(key, str):
        reason = f"a dict with the key {_short(key)} of type {_type_name(key)}, not str,"
        raise NotRepresentable(_pointer(path[:-1]), reason)
    _check_text(key, path)


def _check_text(text: str, path: list[_Open]) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotRepresentable(_pointer(path), "a str with a lone surrogate (no Unicode text)") from None


def _pointer(path: list[_Open]) -> str:
    return "".join("/" + str(level.key).replace("~", "~0").replace("/", "~1") for level in path)[:500]


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _hint(value: Any) -> str:
    kind = type(value)
    if kind.__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return " (convert it with .tolist())"
    if isinstance(value, set | frozenset):
        return " (convert it with sorted() or list())"
    if isinstance(value, bytes | bytearray):
        return " (decode it to str)"
    if isinstance(value, complex):
        return " (return its real and imaginary parts)"
    return ""


def _short(key: Any) -> str:
    try:
        return repr(key)[:80]
    except Exception:  # noqa: BLE001 - a program's __repr__ may do anything
        return "<no repr>"
