"""What JSON holds is written as it is; what nothing can hold is refused, with its place."""

import enum
import json
from collections import OrderedDict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrt_runner.encode import MAX_DEPTH, NotRepresentable, to_json

TEXT = st.text(st.characters(codec="utf-8"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


@given(VALUES)
def test_what_json_can_hold_survives(value: Any) -> None:
    assert json.loads(to_json(value)) == value


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_shared_values_are_no_cycle() -> None:
    shared = [1]
    assert to_json([shared, shared, {"a": shared}]) == '[[1], [1], {"a": [1]}]'


def test_subclasses_of_what_json_holds_are_fine() -> None:
    point = namedtuple("point", "x y")  # noqa: PYI024
    value = {"o": OrderedDict(a=1), "p": point(1, 2), "e": Grade.A}
    assert json.loads(to_json(value)) == {"o": {"a": 1}, "p": [1, 2], "e": 1}


def test_the_deepest_allowed_value_passes() -> None:
    assert json.loads(to_json(deep(MAX_DEPTH)))


class Grade(enum.IntEnum):
    """A number with a name."""

    A = 1


class Odd:
    """A value of the program's own."""


CYCLE: list[Any] = [{}]
CYCLE[0]["self"] = CYCLE


@pytest.mark.parametrize(
    ("value", "pointer", "told"),
    [
        ([Odd()], "/0", "Odd"),
        (["\ud800"], "/0", "surrogate"),
        ({"\ud800": 1}, "/\ud800", "surrogate"),
        (CYCLE, "/0/self", "contains itself"),
        ([range(3)], "/0", "range"),
        (deep(MAX_DEPTH + 1), "/0/0/0", "deep"),
        ([10**5000], "/0", "digits"),
    ],
    ids=range(7),
)
def test_what_cannot_be_represented_is_named_with_its_place(value: Any, pointer: str, told: str) -> None:
    with pytest.raises(NotRepresentable) as caught:
        to_json(value)
    assert caught.value.pointer == pointer
    assert told in str(caught.value)
