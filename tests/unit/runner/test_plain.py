"""What a template program returns has one plain JSON form; what has none is refused with its place."""

import dataclasses
import enum
import json
import math
from collections import OrderedDict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, HttpUrl, RootModel, TypeAdapter, field_serializer
from pydantic.dataclasses import dataclass as pydantic_dataclass

from qrt_runner.encode import MAX_DEPTH, NotRepresentable
from qrt_runner.plain import written

pytestmark = pytest.mark.kipu

TEXT = st.text(st.characters(codec="utf-8"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


def plain(value: Any) -> Any:
    def constant(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(written(value).text, parse_constant=constant)


@given(VALUES)
def test_what_json_has_is_written_as_it_is(value: Any) -> None:
    assert plain(value) == value


@given(st.timedeltas())
def test_a_duration_is_written_as_pydantic_reads_it(value: timedelta) -> None:
    assert TypeAdapter(timedelta).validate_python(plain(value)) == value


ANYTHING = st.recursive(
    SCALARS | st.floats() | st.complex_numbers() | st.binary() | st.datetimes() | st.decimals() | st.uuids(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner) | st.dictionaries(TEXT | st.integers() | st.booleans(), inner)
    ),
    max_leaves=20,
)


@given(ANYTHING)
def test_whatever_is_returned_is_strict_json_or_refused(value: Any) -> None:
    try:
        plain(value)
    except NotRepresentable as exc:
        reason = exc.reason
    else:
        return
    assert "written the same" in reason


class Colour(enum.Enum):
    """A plain enum."""

    RED = "red"


class Model(BaseModel):
    """A model with a form of its own."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    at: date
    value: Any = None

    @field_serializer("at")
    def year(self, at: date) -> int:
        return at.year


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: float
    tags: set[str]


@pydantic_dataclass
class Checked:
    """A dataclass of pydantic's."""

    at: datetime


Pair = namedtuple("Pair", "a b")  # noqa: PYI024


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("a"), ["a"]),
        ((1, (2,)), [1, [2]]),
        (Pair(1, 2), [1, 2]),
        (deque([1]), [1]),
        (range(2), [0, 1]),
        ({"a": 1}.values(), [1]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (
            {1: "a", True and 2.5: "b", None: "c", False: "d"},
            {"1": "a", "2.5": "b", "null": "c", "false": "d"},
        ),
        ({date(2024, 1, 2): 1, Colour.RED: 2}, {"2024-01-02": 1, "red": 2}),
        (1 + 2j, {"real": 1.0, "imag": 2.0}),
        (b"\x00\xff", "AP8="),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "2024-01-02T03:04:05+00:00"),
        (time(1, 2), "01:02:00"),
        (timedelta(days=1, hours=2, seconds=5.5), "P1DT2H5.5S"),
        (timedelta(0), "PT0S"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b"), "a/b"),
        (Colour.RED, "red"),
        (1 << 100, 1 << 100),
        (Point(1.5, {"b", "a"}), {"x": 1.5, "tags": ["a", "b"]}),
        (Model(at=date(2024, 1, 2), value=b"text"), {"at": 2024, "value": "text"}),
        ([Model(at=date(2024, 1, 2), value={1 + 0j})], [{"at": 2024, "value": ["1+0j"]}]),
        (Checked(datetime(2024, 1, 2)), {"at": "2024-01-02T00:00:00"}),  # noqa: DTZ001
        (RootModel[list[int]]([1]), [1]),
        (HttpUrl("https://example.org/"), "https://example.org/"),
    ],
)
def test_each_kind_of_value_has_one_form(value: Any, form: Any) -> None:
    found = plain(value)
    assert found == form
    assert type(found) is type(form)


def test_numbers_that_are_not_finite_are_null_and_counted() -> None:
    told = written({"a": [1.0, math.nan, math.inf], "b": Point(-math.inf, set())})
    assert json.loads(told.text) == {"a": [1.0, None, None], "b": {"x": None, "tags": []}}
    assert told.nulled == 3
    assert told.first in ("/a/1", "/a/2", "/b/x")
    assert plain(Model(at=date(2024, 1, 2), value=-math.inf)) == {"at": 2024, "value": None}


class Own:
    """A class of the program's own project."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__ |= attributes


class Array:
    """What looks like an array of numpy's."""

    dtype = "float64"

    def tolist(self) -> Any:
        return [[1.0, math.nan]]


def test_what_looks_like_an_array_is_nested_lists() -> None:
    assert plain({"a": Array()}) == {"a": [[1.0, None]]}


def test_an_object_of_the_projects_own_is_its_attributes() -> None:
    here = str(Path(__file__).parent)
    assert json.loads(written([Own(a=1, b=Own(c=2))], project=here).text) == [{"a": 1, "b": {"c": 2}}]
    for project in (None, here + "/else"):
        with pytest.raises(NotRepresentable):
            written(Own(a=1), project=project)
    with pytest.raises(NotRepresentable):
        written(Own(), project=here)


def itself() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


class Raising:
    """An object whose parts cannot be asked for."""

    @property
    def dtype(self) -> Any:
        raise OSError

    def tolist(self) -> Any:
        return []


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (object(), ""),
        ({"a": [1, {"b/c": lambda: 1}]}, "/a/1/b~1c"),
        ([iter([])], "/0"),
        ({"m": Model(at=date(2024, 1, 2), value=[object()])}, "/m/value/0"),
        ({(1, 2): 3}, "/(1, 2)"),
        ({"1": 1, 1: 2}, "/1"),
        (["\ud800"], "/0"),
        ([1 << 1024], "/0"),
        ([Raising()], "/0"),
        ([int], "/0"),
        ([ValueError("x")], "/0"),
        (itself(), "/0/0/0/0"),
    ],
)
def test_what_has_no_form_is_refused_with_its_place(value: Any, pointer: str) -> None:
    with pytest.raises(NotRepresentable) as refused:
        written(value)
    assert refused.value.pointer == pointer


def test_the_deepest_allowed_value_passes() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert plain(value)
    with pytest.raises(NotRepresentable):
        written([value])
