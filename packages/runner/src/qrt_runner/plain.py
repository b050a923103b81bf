"""What a template program returns as plain JSON: text that any client reads, without tags.

    >>> written({"z": {1, 2}, "at": date(2024, 1, 2)}).text
    '{"z": [1, 2], "at": "2024-01-02"}'

One way only: what JSON does not have takes one form each (the table is in docs/kipu.md), and is not read
back as what it was. What has none is refused with its place.
"""

import base64
import ipaddress
import json
import math
import os
import sys
from collections import deque
from collections.abc import ItemsView, Iterable, KeysView, Mapping, ValuesView
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID

from qrt_runner.encode import MAX_DEPTH, NotRepresentable

_NOTHING = object()
_LARGEST = 1 << 1024
"""Ints from here on are infinite to whoever reads numbers as doubles, and refused by strict readers."""
_SEQUENCES = (list, tuple, deque, range, KeysView, ValuesView, ItemsView)
_AS_TEXT = (
    Decimal, UUID, PurePath,
    ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network,
    ipaddress.IPv4Interface, ipaddress.IPv6Interface,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """A value as JSON text. `nulled` numbers were NaN or infinite and are null; the first is at `first`."""

    text: str
    nulled: int = 0
    first: str = ""


class _Place(NamedTuple):
    """Where a value stands."""

    parent: "_Place | None" = None
    key: str = ""
    depth: int = 0

    def below(self, key: Any) -> "_Place":
        return _Place(self, str(key), self.depth + 1)

    def pointer(self) -> str:
        """Return the place as RFC 6901 writes it, cut where it is long."""
        keys, at = [], self
        while at.parent is not None:
            keys.append(at.key)
            at = at.parent
        return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in reversed(keys))[:500]

    def top(self, levels: int) -> "_Place":
        """Return the place on the way to this one that is `levels` deep."""
        at = self
        while at.parent is not None and at.depth > levels:
            at = at.parent
        return at

    def refused(self, reason: str) -> NotRepresentable:
        return NotRepresentable(self.pointer(), reason)


def written(value: Any, *, project: str | None = None) -> Written:
    """Return `value` as JSON text. An object of a class that is defined below `project` is its attributes.

    Raises:
        NotRepresentable: something in it has no JSON form.
    """
    out: list[Any] = [None]
    writer = _Writer(project)
    writer.todo.append((out, 0, value, _Place()))
    while writer.todo:  # a loop and not recursion: a deep value needs no deep stack
        target, slot, each, place = writer.todo.pop()
        target[slot] = writer.form(each, place)
    text = json.dumps(out[0], ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
    return Written(text, nulled=writer.nulled, first=writer.first)


class _Writer:
    """Gives values their forms; what is inside them is put on `todo`."""

    def __init__(self, project: str | None) -> None:
        self.todo: list[tuple[Any, Any, Any, _Place]] = []
        self.nulled = 0
        self.first = ""
        self._project = project

    def form(self, value: Any, place: _Place) -> Any:
        """Return the JSON form of one value, its members still to be filled in."""
        while isinstance(value, Enum):
            value = value.value
        plain = self._scalar(value, place)
        if plain is not _NOTHING:
            return plain
        if place.depth >= MAX_DEPTH:
            raise place.top(4).refused(
                f"a value more than {MAX_DEPTH} levels deep, or one that holds itself,"
            )
        if isinstance(value, Mapping):
            return self._object(value.items(), place)
        if isinstance(value, _SEQUENCES):
            return self._array(list(value), place)
        if isinstance(value, AbstractSet):
            return self._array(_in_order(value), place)
        try:
            return self._foreign(value, place)
        except NotRepresentable:
            raise
        except Exception as exc:  # a program's attributes may do anything
            reason = f"a value of type {_type_name(value)}, which raised {type(exc).__name__},"
            raise place.refused(reason) from exc

    def _scalar(self, value: Any, place: _Place) -> Any:
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return _text(value, place)
        if isinstance(value, int):
            return _integer(value, place)
        if isinstance(value, float):
            return self._float(float.__float__(value), place)
        if isinstance(value, complex):
            real, imag = self._float(value.real, place), self._float(value.imag, place)
            return {"real": real, "imag": imag}
        if isinstance(value, bytes | bytearray | memoryview):
            return base64.b64encode(value).decode("ascii")
        if isinstance(value, date | time):  # a datetime is a date
            return str(value.isoformat())
        if isinstance(value, timedelta):
            return _duration(value)
        return _text(str(value), place) if isinstance(value, _AS_TEXT) else _NOTHING

    def _float(self, value: float, place: _Place) -> float | None:
        if math.isfinite(value):
            return value
        self.first = self.first if self.nulled else place.pointer()
        self.nulled += 1
        return None

    def _object(self, items: Iterable[tuple[Any, Any]], place: _Place) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in items:
            name = _key(key, place)
            if name in out:
                raise place.below(name).refused("a second key of a dict that is written the same")
            out[name] = None
            self.todo.append((out, name, value, place.below(name)))
        return out

    def _array(self, values: list[Any], place: _Place) -> list[Any]:
        self.todo.extend((values, index, value, place.below(index)) for index, value in enumerate(values))
        return values

    def _foreign(self, value: Any, place: _Place) -> Any:
        """Return the form of an object that says itself what it holds."""
        kind = type(value)
        if hasattr(kind, "__pydantic_serializer__"):
            return self._again(_by_pydantic(value), place)
        if is_dataclass(value) and not isinstance(value, type):
            return self._object(((each.name, getattr(value, each.name)) for each in fields(value)), place)
        if hasattr(kind, "tolist") and hasattr(value, "dtype"):  # numpy's, and what is like it
            return self._numbers(value, place)
        if kind.__module__.partition(".")[0] in ("pydantic", "pydantic_core"):
            return self._again(_pydantic_core().to_jsonable_python(value), place)
        if self._is_own(kind) and (attributes := getattr(value, "__dict__", None)):
            return self._object(dict(attributes).items(), place)
        raise place.refused(f"a value of type {_type_name(value)}")

    def _again(self, value: Any, place: _Place) -> Any:
        """Return the form of what stands for a value: one level deeper, so that there is an end to it."""
        return self.form(value, place._replace(depth=place.depth + 1))

    def _numbers(self, value: Any, place: _Place) -> Any:
        data = value.tolist()
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.ndarray) and value.dtype.itemsize <= 8:
            kind = value.dtype.kind
            if kind in "biu" or (kind == "f" and numpy.isfinite(value).all()):
                return data  # all of it is JSON already
        if type(data) is type(value):  # numpy.longdouble has nothing nearer
            data = float(data) if value.dtype.kind == "f" else complex(data)
        return self._again(data, place)

    def _is_own(self, kind: type) -> bool:
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        return bool(self._project and file and str(file).startswith(self._project + os.sep))


def _text(text: str, place: _Place) -> str:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        raise place.refused("a str with a lone surrogate (no Unicode text)") from None
    return text if type(text) is str else str.__str__(text)


def _integer(value: int, place: _Place) -> int:
    number = int.__index__(value)
    if abs(number) < _LARGEST:
        return number
    raise place.refused("an int beyond what readers of JSON take (2**1024)")


def _duration(value: timedelta) -> str:
    """Return a duration as ISO 8601 writes it, in the manner of pydantic: `-P1DT2H5.5S`."""
    whole, micro = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    fraction = f".{micro:06}".rstrip("0") if micro else ""
    clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
    clock += f"{seconds}{fraction}S" if seconds or micro else ""
    text = (f"{days}D" if days else "") + (f"T{clock}" if clock else "")
    return ("-P" if value < timedelta(0) else "P") + (text or "T0S")


def _key(key: Any, place: _Place) -> str:
    """Return how a key of a dict is written: text as it is, what is one scalar as its text."""
    while isinstance(key, Enum):
        key = key.value
    if isinstance(key, str):
        return _text(key, place)
    if hasattr(type(key), "tolist") and hasattr(key, "dtype"):
        key = key.tolist()
    if key is None or isinstance(key, bool | int):
        return json.dumps(
            key if key is None else bool(key) if isinstance(key, bool) else _integer(key, place)
        )
    if isinstance(key, float) and math.isfinite(key):
        return float.__repr__(key)
    if isinstance(key, date | time):
        return str(key.isoformat())
    if isinstance(key, _AS_TEXT):
        return _text(str(key), place)
    raise place.below(_short(key)).refused(f"a dict with a key of type {_type_name(key)}")


def _in_order(values: "AbstractSet[Any]") -> list[Any]:
    try:
        return sorted(values)  # the same set is always the same text
    except Exception:  # noqa: BLE001 - a program's comparison may do anything
        return list(values)


def _by_pydantic(value: Any) -> Any:
    """Return a model as pydantic writes it, or its fields where that cannot write all of them."""
    serializer = type(value).__pydantic_serializer__
    try:
        return serializer.to_python(value, mode="json")
    except Exception:  # noqa: BLE001 - then the members say which of them it is, and where
        return serializer.to_python(value, mode="python")


def _pydantic_core() -> Any:
    return sys.modules["pydantic_core"]  # it is there: the value is one of its own


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _short(key: Any) -> str:
    try:
        return repr(key)[:80]
    except Exception:  # noqa: BLE001 - a program's __repr__ may do anything
        return "<no repr>"
