"""Python values as JSON text and back: what JSON has is written as it is, all else as a tagged object.

    >>> to_json({"energy": -1.5, "z": 1 + 2j})
    '{"energy": -1.5, "z": {"$type": "complex", "real": 1.0, "imag": 2.0}}'

The services carry such text and never look into it; the SDK writes inputs and reads results. The
program's side of a sandbox may import nothing of ours and has the same code as `qrt_runner.encode`:
a test compares the two, line by line and by golden examples.
"""

import base64
import importlib
import json
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

TAG = "$type"
"""The key that marks an object as standing for a value that JSON does not have."""

MAX_DEPTH = 500
"""JSON containers inside one another; readers on the way refuse more than about a thousand."""

_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
_ARRAY_KINDS = "biufcmMSU"
_NOTHING = object()


class NotRepresentable(ValueError):
    """A value that cannot be written; `pointer` (RFC 6901) says where it stands."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{reason} at {pointer or 'the top level'}")
        self.pointer = pointer
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a program has come: `done` of `total` in its own unit; no total, no known end."""

    done: float
    total: float | None = None
    message: str | None = None


class QuafuResult(dict[str, Any]):
    """A result of pyquafu, read back: its counts, probabilities and other data by name."""

    def __init__(self, kind: str, data: Iterable[tuple[str, Any]]) -> None:
        super().__init__(data)
        self.kind = kind
        """Which class it was, such as `SimuResult`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this {self.__dict__.get('kind')} has no {name}") from None


def to_json(value: Any) -> str:
    """Return the JSON text of `value`: strict JSON, readable by anybody, read back by `from_json`.

    Raises:
        NotRepresentable: it holds an object of no known kind, a cycle, or more than `MAX_DEPTH` levels.
    """
    try:
        return json.dumps(encode(value), ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
    except RecursionError:
        raise NotRepresentable("", "a value too deep for the interpreter's recursion limit") from None


def from_json(text: str | bytes) -> Any:
    """Return what `to_json` was given. Objects whose tag is unknown or malformed stay as they are.

    Raises:
        ValueError, RecursionError: it is no JSON text.
    """
    return json.loads(text, object_hook=_untagged)


def encode(value: Any) -> Any:
    """Return `value` as data that JSON can hold. Raises NotRepresentable."""
    out: list[Any] = [None]
    todo: list[_Todo] = [(out, 0, _At(None, None, value, 0, hashed=False))]
    while todo:  # a loop and not recursion: programs publish from any depth of calls
        target, slot, at = todo.pop()
        target[slot] = _written(at, todo)
    return out[0]


def decode(data: Any) -> Any:
    """Return what `encode` was given, from its data."""
    return from_json(json.dumps(data))


class _At(NamedTuple):
    """A value, and the way to it. `hashed`: it is in a set or a key, so it must read back hashable."""

    parent: "_At | None"
    key: Any
    value: Any
    depth: int
    hashed: bool

    def child(self, key: Any, value: Any, *, depth: int = 1, hashed: bool = False) -> "_At":
        return _At(self, key, value, self.depth + depth, hashed or self.hashed)

    def refused(self, reason: str) -> NotRepresentable:
        return NotRepresentable(_pointer(self.way()), reason)

    def way(self) -> "list[_At]":
        """Return the places from the outermost value to this one."""
        way, at = [self], self
        while at.parent is not None:
            at = at.parent
            way.append(at)
        return way[::-1]


_Todo = tuple[Any, Any, _At]
"""Where a written value goes: a list or dict, an index or key in it, and the value."""


# --- writing --------------------------------------------------------------------------------------


def _written(at: _At, todo: list[_Todo]) -> Any:
    value = at.value
    while isinstance(value, Enum):
        value = value.value
    plain = _scalar(value, at)
    if plain is not _NOTHING:
        return plain
    if isinstance(value, list | tuple):
        _go_deeper(at)
        return _items(value, at, todo)
    if isinstance(value, set | frozenset):
        _go_deeper(at)
        name = "set" if isinstance(value, set) else "frozenset"
        return {TAG: name, "items": _items(_in_order(value), at, todo, depth=2, hashed=True)}
    members, tag = _members(value, at)
    _go_deeper(at)
    if at.hashed:
        raise at.refused(f"a {_type_name(value)} in a set or a key, where it could not be read back,")
    if tag is None and (TAG in members or not all(isinstance(key, str) for key in members)):
        return {TAG: "dict", "items": _pairs(members, at, todo)}
    return _object(members, at, todo, tag)


def _scalar(value: Any, at: _At) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _text(value, at)
    if isinstance(value, int):
        return _integer(value, at)
    if isinstance(value, float):
        return _float(value)
    for kinds, write in _WRITERS:
        if isinstance(value, kinds):
            return write(value)
    numpy: Any = sys.modules.get("numpy")  # without it no value can be one of its own
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return _array(value, at) if isinstance(value, numpy.ndarray) else _numpy_scalar(value, at)
    return _NOTHING


def _text(text: str, at: _At) -> str:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        raise at.refused("a str with a lone surrogate (no Unicode text)") from None
    return text if type(text) is str else str.__str__(text)


def _integer(value: int, at: _At) -> Any:
    number = int.__index__(value)
    if _LEAST <= number <= _MOST:
        return number
    try:
        return {TAG: "int", "value": str(number)}  # many readers would make a float of it
    except ValueError:
        raise at.refused("an int of more digits than Python writes") from None


def _float(value: float) -> Any:
    number = float.__float__(value)
    return number if math.isfinite(number) else {TAG: "float", "value": repr(number)}


def _complex(value: complex) -> Any:
    return {TAG: "complex", "real": _float(value.real), "imag": _float(value.imag)}


def _base64(value: Any) -> str:
    return base64.b64encode(value).decode("ascii")


def _of_text(tag: str, text: Callable[[Any], str]) -> Callable[[Any], Any]:
    return lambda value: {TAG: tag, "value": text(value)}


def _timedelta(value: timedelta) -> Any:
    whole = {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
    return {TAG: "timedelta", **whole}


def _progress(value: Progress) -> Any:
    return {TAG: "progress", "done": value.done, "total": value.total, "message": value.message}


_WRITERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (complex, _complex),
    (bytes | bytearray | memoryview, lambda value: {TAG: "bytes", "base64": _base64(bytes(value))}),
    (datetime, _of_text("datetime", lambda value: str(value.isoformat()))),  # before date: it is one
    (date, _of_text("date", lambda value: str(value.isoformat()))),
    (time, _of_text("time", lambda value: str(value.isoformat()))),
    (timedelta, _timedelta),
    (Decimal, _of_text("decimal", str)),
    (UUID, _of_text("uuid", str)),
    (Progress, _progress),
)


def _array(value: Any, at: _At) -> Any:
    if at.hashed:
        raise at.refused("a numpy array in a set or a key, where it could not be read back,")
    kind, raw = _little_endian(value, at)
    return {TAG: "ndarray", "dtype": kind.str, "shape": list(value.shape), "base64": _base64(raw)}


def _numpy_scalar(value: Any, at: _At) -> Any:
    kind, raw = _little_endian(value, at)
    if kind.kind not in "biuf" or kind.itemsize > 8:
        return {TAG: "numpy", "dtype": kind.str, "base64": _base64(raw)}
    plain = value.item()
    return {TAG: "numpy", "dtype": kind.str, "value": _float(plain) if kind.kind == "f" else plain}


def _little_endian(value: Any, at: _At) -> tuple[Any, bytes]:
    if value.dtype.kind not in _ARRAY_KINDS:
        raise at.refused(f"a numpy value of dtype {value.dtype}")
    kind = value.dtype.newbyteorder("<")
    return kind, value.astype(kind).tobytes()


def _items(
    values: Iterable[Any], at: _At, todo: list[_Todo], *, depth: int = 1, hashed: bool = False
) -> list[Any]:
    out = list(values)
    for index, value in enumerate(out):
        todo.append((out, index, at.child(index, value, depth=depth, hashed=hashed)))
    return out


def _in_order(values: "set[Any] | frozenset[Any]") -> list[Any]:
    try:
        return sorted(values)  # the same set is always the same text
    except Exception:  # noqa: BLE001 - a program's comparison may do anything
        return list(values)


def _pairs(members: dict[Any, Any], at: _At, todo: list[_Todo]) -> list[Any]:
    pairs: list[Any] = []
    for key, value in members.items():
        pair = [None, None]
        pairs.append(pair)
        todo.append((pair, 0, at.child(key, key, depth=3, hashed=True)))
        todo.append((pair, 1, at.child(key, value, depth=3)))
    return pairs


def _object(members: dict[Any, Any], at: _At, todo: list[_Todo], tag: str | None) -> dict[str, Any]:
    out: dict[str, Any] = {} if tag is None else {TAG: tag}
    for key, value in members.items():
        child = at.child(key, value)
        name = _text(key, child)
        out[name] = None
        todo.append((out, name, child))
    return out


def _members(value: Any, at: _At) -> tuple[dict[Any, Any], str | None]:
    """Return the members of a dict, or of an object that is written as one, and its tag if it has one."""
    try:
        if isinstance(value, QuafuResult):
            return dict(value), f"quafu.{value.kind}"
        if isinstance(value, dict):
            return value, None
        for kind in type(value).__mro__:
            if kind.__module__.startswith("quafu.") and kind.__name__ in _QUAFU:
                return _QUAFU[kind.__name__](value), f"quafu.{kind.__name__}"
        if is_dataclass(value) and not isinstance(value, type):
            return {each.name: getattr(value, each.name) for each in fields(value)}, None
        if hasattr(type(value), "model_dump") and hasattr(type(value), "model_fields"):
            return _model(value), None
    except Exception as exc:  # a program's attributes may do anything
        reason = f"a value of type {_type_name(value)}, which raised {type(exc).__name__},"
        raise at.refused(reason) from exc
    raise at.refused(f"a value of type {_type_name(value)}")


def _model(value: Any) -> dict[Any, Any]:
    """Return the fields of a pydantic model, known by its looks: not every environment has pydantic."""
    members = {name: getattr(value, name) for name in type(value).model_fields}
    return members | (getattr(value, "__pydantic_extra__", None) or {})


def _simulated(result: Any) -> dict[str, Any]:
    data = dict(result._meta_data)
    try:
        data["probabilities"] = result.probabilities
    except ValueError:  # it has neither these nor what they are made of
        return data
    return data


_EXECUTED = (
    "taskid", "taskname", "task_status", "counts", "probabilities", "measures", "transpiled_openqasm",
)  # fmt: skip


def _executed(result: Any) -> dict[str, Any]:
    return {name: getattr(result, name) for name in _EXECUTED}


_QUAFU: dict[str, Callable[[Any], dict[str, Any]]] = {"SimuResult": _simulated, "ExecResult": _executed}


def _go_deeper(at: _At) -> None:
    if at.depth < MAX_DEPTH:
        return
    seen: set[int] = set()
    way = at.way()
    for index, each in enumerate(way):
        if id(each.value) in seen:
            reason = f"a {type(each.value).__name__} that contains itself"
            raise NotRepresentable(_pointer(way[: index + 1]), reason)
        seen.add(id(each.value))
    raise NotRepresentable(_pointer(way[:4]), f"a value nested more than {MAX_DEPTH} levels deep")


def _pointer(way: list[_At]) -> str:
    names = (each.key if isinstance(each.key, str) else _short(each.key) for each in way[1:])
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)[:500]


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _short(key: Any) -> str:
    try:
        return repr(key)[:80]
    except Exception:  # noqa: BLE001 - a program's __repr__ may do anything
        return "<no repr>"


# --- reading --------------------------------------------------------------------------------------


def _untagged(data: dict[str, Any]) -> Any:
    """Return what an object stands for; called with the innermost objects first."""
    tag = data.get(TAG)
    if not isinstance(tag, str):
        return data
    if tag in ("quafu.SimuResult", "quafu.ExecResult"):
        return QuafuResult(tag.partition(".")[2], ((k, v) for k, v in data.items() if k != TAG))
    for names, read in _READERS.get(tag, ()):
        if len(data) == len(names) + 1 and all(name in data for name in names):
            try:
                return read(*(data[name] for name in names))
            except (ValueError, TypeError, ArithmeticError, ImportError):
                return data  # somebody else's object, or numpy's without numpy
    return data


def _read_array(dtype: str, shape: list[int], text: str) -> Any:
    numpy: Any = importlib.import_module("numpy")
    kind, raw = _array_dtype(numpy, dtype), base64.b64decode(text, validate=True)
    if math.prod(shape) * kind.itemsize != len(raw) or (kind.itemsize == 0 and math.prod(shape)):
        raise ValueError("the array's shape and data differ")
    return numpy.ndarray(tuple(shape), dtype=kind, buffer=raw or None).copy()


def _array_dtype(numpy: Any, dtype: str) -> Any:
    kind = numpy.dtype(dtype)
    if kind.kind not in _ARRAY_KINDS:
        raise ValueError("a dtype that is never written")
    return kind


def _read_scalar(dtype: str, value: Any) -> Any:
    numpy: Any = importlib.import_module("numpy")
    return _array_dtype(numpy, dtype).type(value)


def _read_raw_scalar(dtype: str, text: str) -> Any:
    return _read_array(dtype, [1], text)[0]


def _read_float(text: str) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise ValueError("a float that is never written so")
    return float(text)


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


_READERS: dict[str, tuple[tuple[tuple[str, ...], Callable[..., Any]], ...]] = {
    "int": ((("value",), int),),
    "float": ((("value",), _read_float),),
    "complex": ((("real", "imag"), complex),),
    "bytes": ((("base64",), lambda text: base64.b64decode(text, validate=True)),),
    "datetime": ((("value",), datetime.fromisoformat),),
    "date": ((("value",), date.fromisoformat),),
    "time": ((("value",), time.fromisoformat),),
    "timedelta": ((("days", "seconds", "microseconds"), timedelta),),
    "decimal": ((("value",), Decimal),),
    "uuid": ((("value",), UUID),),
    "progress": ((("done", "total", "message"), Progress),),
    "ndarray": ((("dtype", "shape", "base64"), _read_array),),
    "numpy": ((("dtype", "value"), _read_scalar), (("dtype", "base64"), _read_raw_scalar)),
    "set": ((("items",), lambda items: set(map(_hashable, items))),),
    "frozenset": ((("items",), lambda items: frozenset(map(_hashable, items))),),
    "dict": ((("items",), lambda items: {_hashable(key): value for key, value in items}),),
}
