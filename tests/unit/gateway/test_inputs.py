"""What is refused of an input before its job is queued, and what never is."""

import datetime
import enum
import json
import uuid
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from qrt_contracts.faults import InvalidRequest
from qrt_gateway.domain.inputs import MAX_ERRORS, Inputs

pytestmark = pytest.mark.kipu


class Color(enum.IntEnum):
    RED = 1
    BLUE = 2


class Params(BaseModel):
    round_up: bool
    shots: int = 1
    when: datetime.datetime | None = None
    either: int | list[str] = 1


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


class Pair(NamedTuple):
    a: int
    b: str


class Total(TypedDict, total=False):
    n: float


KINDS: list[Any] = [
    *(int, float, str, bool, Decimal, uuid.UUID, datetime.date, datetime.time, datetime.timedelta, bytes),
    *(Color, Pair, Total, Params, Tree, Params | Tree, int | None, Literal["a", 1], list[int], set[int]),
    *(tuple[int, str], tuple[int, ...], dict[str, int], dict[int, list[float]], list[int | dict[str, bool]]),
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([0.5, 2.0, "1", "a", "x", "true", "1.5"])
    | st.sampled_from(["2026-01-02", "2026-01-02T03:04:05Z", "03:04", "PT1S", "0" * 32]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["round_up", "value", "children", "n", "a", "b", "1"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


def judge(schema: dict[str, Any], value: Any) -> tuple[str, ...]:
    """Return pointers at what is refused."""
    try:
        signature = json.dumps({"check": schema}).encode()
        Inputs().check(value, digest="d", signature=signature, size=len(json.dumps(value)))
    except InvalidRequest as refused:
        return tuple(each.pointer for each in refused.errors)
    return ()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_what_pydantic_takes_is_never_refused(kind: Any, value: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        adapter.validate_json(json.dumps(value))
    except ValidationError:
        return
    assert judge(adapter.json_schema(), value) == ()


def test_every_fault_is_pointed_at_and_no_value_is_told() -> None:
    class Input(BaseModel):
        data: dict[str, float]
        params: Params
        tree: Tree | None = None

    value = {
        "data": {"a/b": "hunter2"},
        "params": {"shots": "hunter2", "either": {}},
        "tree": {"value": 1, "children": [{"value": "hunter2"}]},
    }
    schema = Input.model_json_schema()
    assert set(judge(schema, value)) == {
        *("/data/a~1b", "/params/round_up", "/params/shots", "/params/either", "/tree/children/0/value")
    }
    with pytest.raises(InvalidRequest) as refused:
        Inputs().check(value, digest="d", signature=json.dumps({"check": schema}).encode(), size=1)
    assert "hunter2" not in str(refused.value.problem())


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "text"},
        {"type": ["string", 5]},
        {"type": "string", "format": "color"},
        {"type": "string", "pattern": "(?=b)b"},
        {"type": "string", "pattern": "((x{500}){500}){500}"},
        {"$ref": "https://example.org/schema"},
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"$ref": "#/$defs/missing"},
        {"not": {}},
        {"anyOf": []},
        {"properties": 5},
        {"enum": "a"},
        {"enum": [["a"]]},
        {"type": "array", "prefixItems": [{"type": "integer"}]},
    ],
    ids=str,
)
def test_what_is_not_known_is_open(schema: dict[str, Any]) -> None:
    assert judge(schema, "a") == () or judge(schema, ["a"]) == ()


def test_a_schema_that_doubles_at_each_level_costs_little() -> None:
    form = {"type": "object", "required": ["x"], "properties": {"x": {"$ref": "#/$defs/D"}}}
    schema = {"$ref": "#/$defs/D", "$defs": {"D": {"anyOf": [form, form, {"type": "boolean"}]}}}
    value: Any = "no boolean"
    for _ in range(60):
        value = {"x": value}
    assert judge(schema, value) == ()  # given up, and left to the program


def test_a_schema_too_deep_or_too_large_is_open_there() -> None:
    deep: dict[str, Any] = {"type": "integer"}
    for _ in range(300):
        deep = {"type": "array", "items": deep}
    nested: Any = "no integer"
    for _ in range(200):
        nested = [nested]
    assert judge(deep, nested) == ()
    assert judge(deep, "no list") == ("",)
    wide = {"type": "object", "properties": {f"p{n}": {"type": "integer"} for n in range(20_000)}}
    assert judge(wide, {"p1": "a", "p19999": "a"}) == ("/p1",)


def test_of_a_large_input_only_the_properties_are_looked_at() -> None:
    schema = {
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"type": "array", "items": {"type": "integer"}}},
    }
    signature = json.dumps({"check": schema}).encode()
    Inputs().check({"data": ["x"]}, digest="d", signature=signature, size=2 << 20)
    with pytest.raises(InvalidRequest):
        Inputs().check({"date": []}, digest="d", signature=signature, size=2 << 20)


def test_faults_beyond_number_are_counted_and_not_listed() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert judge(schema, {f"p{n}": "x" for n in range(MAX_ERRORS + 1)}) == ("",)
