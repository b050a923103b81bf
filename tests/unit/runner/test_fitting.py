"""Whatever fits arrives as what it stands for; whatever does not is refused with its place: by properties."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Optional, cast, get_origin
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrt_gateway.domain.shapes import check, validator_of
from qrt_runner.arguments import arguments
from qrt_runner.describe import signature
from tests.unit.runner.test_arguments import Colour, InputData, faults

pytestmark = pytest.mark.kipu

Made = tuple[Any, Any, Any]
"""An annotation, a JSON value that fits it, and the argument that comes of it."""

LIST, DICT, TUPLE, OPTIONAL = cast("Any", (list, dict, tuple, Optional))
FIXED: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    bool: st.booleans(),
    str: st.text(st.characters(codec="utf-8")),
    float: st.floats(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
}
PAIRS = st.one_of(
    *(
        strategy.map(lambda value, kind=kind: (kind, value, value))  # type: ignore[misc]
        for kind, strategy in FIXED.items()
    ),
    st.sampled_from(Colour).map(lambda each: (Colour, each.value, each)),
    st.sampled_from(Colour).map(lambda each: (Colour, each.name, each)),
    st.dates().map(lambda each: (date, each.isoformat(), each)),
    st.datetimes().map(lambda each: (datetime, each.isoformat(), each)),
    st.uuids().map(lambda each: (UUID, str(each), each)),
    st.decimals(allow_nan=False, allow_infinity=False).map(lambda each: (Decimal, str(each), each)),
    st.lists(FIXED[float]).map(
        lambda each: (InputData, {"values": each}, InputData.model_construct(values=each))
    ),
)
WORDS = st.text(st.characters(codec="utf-8"), max_size=8)


def nested(inner: st.SearchStrategy[Made]) -> st.SearchStrategy[Made]:
    """Return lists, dicts, tuples and optional types of what fits."""
    return st.one_of(
        inner.map(lambda each: (LIST[each[0]], [each[1]] * 2, [each[2]] * 2)),
        st.tuples(WORDS, inner).map(
            lambda each: (DICT[str, each[1][0]], {each[0]: each[1][1]}, {each[0]: each[1][2]})
        ),
        st.tuples(inner, inner).map(
            lambda each: (
                TUPLE[each[0][0], each[1][0]],
                [each[0][1], each[1][1]],
                (each[0][2], each[1][2]),
            )
        ),
        inner.map(lambda each: (OPTIONAL[each[0]], *each[1:])),
        inner.map(lambda each: (OPTIONAL[each[0]], None, None)),
    )


@given(st.recursive(PAIRS, nested, max_leaves=5), st.booleans())
def test_whatever_fits_arrives_as_what_it_stands_for(made: Made, postponed: bool) -> None:
    annotation, raw, value = made

    def run(x):  # type: ignore[no-untyped-def]
        return x

    run.__annotations__ = {"x": annotation}
    if postponed:
        run = _postponed(annotation)
    found = arguments(run, {"x": json.loads(json.dumps(raw))})["x"]
    assert found == value
    assert type(found) is type(value)
    validator = validator_of(signature(run)["check"])
    assert validator is not None
    check(validator, {"x": raw})


def _postponed(annotation: Any) -> Any:
    """Return a `run` whose annotation is a text that only its module can resolve."""
    module = {"Wanted": annotation}
    exec("from __future__ import annotations\ndef run(x: Wanted): return x", module)
    return module["run"]


@given(st.dictionaries(WORDS, st.recursive(st.integers() | WORDS, st.lists, max_leaves=4), max_size=5))
def test_every_property_arrives_once_and_none_that_run_does_not_take(properties: dict[str, Any]) -> None:
    def closed(a: Any = 1, *, b: Any = 2) -> None: ...

    def open_to_all(a: Any = 1, **rest: Any) -> None: ...

    assert arguments(closed, properties) == {
        name: value for name, value in properties.items() if name in ("a", "b")
    }
    assert arguments(open_to_all, properties) == properties


@given(
    st.lists(st.sampled_from(["items", "of", "a/b", "~"]) | st.integers(0, 2), max_size=4),
    st.sampled_from(["x", None, [], {}]),
)
def test_the_pointer_of_a_fault_leads_to_it(way: list[str | int], wrong: Any) -> None:
    annotation: Any = int
    value = wrong
    for step in reversed(way):
        if isinstance(step, int):
            annotation, value = LIST[annotation], [_right(annotation)] * step + [value]
        else:
            annotation, value = DICT[str, annotation], {step: value}

    def run(x):  # type: ignore[no-untyped-def]
        return x

    run.__annotations__ = {"x": annotation}
    pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in ["x", *way])
    assert list(faults(run, {"x": value})) == [pointer]


def _right(annotation: Any) -> Any:
    """Return the plainest value of a type."""
    origin: Any = get_origin(annotation)
    return 0 if origin is None else origin()
