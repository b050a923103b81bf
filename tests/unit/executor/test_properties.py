"""An input's properties become files in their own text."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qrt_executor.domain.properties import NotAnObject, properties

NAMES = st.text("abcXYZ_ äé-.", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('a"\\,:{}[]\u00e9')
VALUES = (
    LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(st.text("a:", max_size=3), LEAVES, max_size=3)
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given=st.dictionaries(NAMES, VALUES, max_size=5), indent=st.sampled_from([None, 1]))
def test_each_property_is_a_document_of_its_own(given: dict[str, object], indent: int | None) -> None:
    found = properties(json.dumps(given, indent=indent))
    assert {name: json.loads(text) for name, text in found.items()} == given


def test_numbers_keep_their_digits_and_the_platforms_own_properties_are_left_out() -> None:
    text = ' {"a" : 1.0e3 ,\n"b":[12345678901234567890123, 1e400], "$secrets": {"x": 1}, "a": 2.50 } '
    assert properties(text) == {"a": "2.50", "b": "[12345678901234567890123, 1e400]"}
    assert properties(" null ") == properties("{ }") == {}


@pytest.mark.parametrize(
    "text",
    [
        *("[1]", '"text"', "1", "", "[" * 100_000, '{"a": ' + "[" * 100_000),
        *("{", '{"a"', '{"a": 1', '{"a": 1 "b": 2}', '{"a": 1,, "b": 2}', "{1: 2}"),
        *('{"../x": 1}', '{"a/b": 1}', '{"": 1}', '{"a\\u0000": 1}', '{"..": 1}', '{"\\ud800": 1}'),
        '{"' + "x" * 300 + '": 1}',
    ],
)
def test_anything_else_is_refused_with_a_text_for_its_owner(text: str) -> None:
    with pytest.raises(NotAnObject):
        properties(text)
