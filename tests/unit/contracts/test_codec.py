"""The codec: what a program returns, publishes or is given survives, and others can read its JSON."""

import ast
import inspect
import json
import math
from datetime import timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from qrt_contracts import codec
from qrt_runner import encode
from tests.unit.contracts.golden import ONE_WAY, golden

SIDES = [codec, encode]
GOLDEN = golden()


def same(one: Any, other: Any) -> bool:
    """Equal in value and kind, with NaN equal to itself and tuples equal to lists outside of keys."""
    if isinstance(one, np.ndarray):
        equal_nan = one.dtype.kind in "fcmM"
        return bool(np.array_equal(one, other, equal_nan=equal_nan)) and one.dtype.kind == other.dtype.kind
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if isinstance(one, complex):
        return type(other) is complex and same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return bool(one == other) and isinstance(other, type(one) if type(one) is not np.float64 else float)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("value", "data"), [each[1:] for each in GOLDEN], ids=[each[0] for each in GOLDEN])
def test_each_side_writes_the_golden_json(side: ModuleType, value: Any, data: Any) -> None:
    assert json.loads(side.to_json(value)) == data


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("value", "data"),
    [each[1:] for each in GOLDEN if not any(word in each[0] for word in ONE_WAY)],
    ids=[each[0] for each in GOLDEN if not any(word in each[0] for word in ONE_WAY)],
)
def test_each_side_reads_the_golden_json(side: ModuleType, value: Any, data: Any) -> None:
    assert same(value, side.decode(data))


def test_both_sides_are_the_same_code() -> None:
    ours, programs = (ast.parse(inspect.getsource(side)) for side in SIDES)
    assert ast.dump(ast.Module(ours.body[1:], [])) == ast.dump(ast.Module(programs.body[1:], []))


TEXT = st.text(st.characters(codec="utf-8")) | st.just(codec.TAG)
HASHABLE: SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
ARRAYS: SearchStrategy[Any] = st.builds(
    lambda values, kind: np.array(values).astype(kind),
    st.lists(st.integers(0, 100), max_size=6),
    st.sampled_from(["<f8", ">f4", "<i8", "|u1", "|b1", "<c16", "<U5", "|S3", "<f2", "<M8[s]"]),
)
LEAVES: SearchStrategy[Any] = HASHABLE | st.floats() | st.complex_numbers() | ARRAYS
VALUES: SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(HASHABLE, inner) | st.dictionaries(TEXT, inner),
    max_leaves=15,
)


@given(VALUES)
def test_any_value_survives_in_both_directions(value: Any) -> None:
    text = encode.to_json(value)
    orjson.loads(text)  # strict JSON
    assert same(value, codec.from_json(text))
    assert same(value, encode.from_json(codec.to_json(value)))


JSON_VALUES: SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT.filter(lambda each: each != codec.TAG), inner),
    max_leaves=15,
)


@given(JSON_VALUES)
def test_what_json_has_is_written_as_it_is(value: Any) -> None:
    assert codec.encode(value) == value
    assert codec.decode(value) == value


@given(
    st.dictionaries(
        st.sampled_from(["$type", "value", "items", "dtype", "shape", "base64", "real", "imag", "done"]),
        st.sampled_from([*codec._READERS, "x", "<f8", "|O", "<U0", None, 1, -1, 1e9, [], [[1]], [-1], {}]),
    )
)
def test_any_object_of_a_foreign_client_can_be_read(data: dict[str, Any]) -> None:
    codec.decode(data)


@pytest.mark.parametrize(
    "data",
    [
        {"$type": "unknown", "a": 1},
        {"$type": "complex", "real": 1},
        {"$type": "complex", "real": 1, "imag": 2, "more": 3},
        {"$type": "ndarray", "dtype": "|O", "shape": [1], "base64": "AAAAAAAAAAA="},
        {"$type": "ndarray", "dtype": "<f8", "shape": [10**9], "base64": ""},
        {"$type": "bytes", "base64": "no!"},
        {"$type": "float", "value": "1.5"},
        {"$type": 5},
    ],
)
def test_objects_that_only_look_tagged_stay_as_they_are(data: Any) -> None:
    assert codec.decode(data) == data


def test_an_array_read_back_can_be_written_to() -> None:
    back = codec.decode(codec.encode(np.zeros(3)))
    back[0] = 1
    assert back.tolist() == [1, 0, 0]


def test_progress_is_a_value_of_its_own() -> None:
    told = codec.from_json(encode.to_json(encode.Progress(3, 10, "counting")))
    assert told == codec.Progress(3, 10, "counting")


class SimuResult:
    """Looks like pyquafu's."""

    __module__ = "quafu.results.results"

    def __init__(self) -> None:
        self._meta_data = {"counts": {"00": 49, "11": 51}, "measures": {0: 0}}
        self.probabilities = np.array([0.5, 0, 0, 0.5])


def test_a_quafu_result_is_read_as_its_data_by_name() -> None:
    back = codec.from_json(encode.to_json([SimuResult()]))[0]
    assert back.kind == "SimuResult"
    assert back["counts"] == back.counts == {"00": 49, "11": 51}
    assert back.probabilities.tolist() == [0.5, 0, 0, 0.5]
    assert back.measures == {0: 0}
    assert same(back, codec.decode(codec.encode(back)))
    with pytest.raises(AttributeError, match="statevector"):
        back.statevector  # noqa: B018


class Broken:
    """Its fields cannot be read."""

    model_fields = {"x": 1}  # noqa: RUF012

    def model_dump(self) -> None: ...


@pytest.mark.parametrize(
    ("value", "pointer", "told"),
    [
        ({"a": [np.array([object()])]}, "/a/0", "dtype object"),
        (np.zeros(1, dtype=[("a", "<i4")]), "", "dtype"),
        ({1: {2: object()}}, "/1/2", "type object"),
        ([{1, b"\x00"}, {"a": {"b": print}}], "/1/a/b", "builtin_function"),
        ([Broken()], "/0", "AttributeError"),
        ({"t": timedelta(1), "d": Decimal(1), "f": (n for n in "ab")}, "/f", "generator"),
    ],
    ids=range(6),
)
def test_what_cannot_be_represented_is_named_with_its_place(value: Any, pointer: str, told: str) -> None:
    with pytest.raises(codec.NotRepresentable) as caught:
        codec.to_json(value)
    assert caught.value.pointer == pointer
    assert told in str(caught.value)
