"""Objects' texts without some of their members, cut anywhere."""

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrt_gateway.kipu.members import mentions_underscore, unwrapped, without

pytestmark = pytest.mark.kipu

KEYS = st.sampled_from(["_links", "_embedded", "_link", "links", "a", 'q"\\', "", "ü"]) | st.text(max_size=90)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(['"_links":', "}{,][\\"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


async def cut(text: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(text), size):
        yield text[at : at + size]


async def joined(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@given(
    value=st.dictionaries(KEYS, VALUES, max_size=6),
    size=st.integers(min_value=1, max_value=40),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 2]),
)
@settings(max_examples=150, deadline=None)
async def test_members_are_left_out_wherever_the_text_is_cut(
    value: dict[str, object], size: int, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    kept = await joined(without(("_links", "_embedded"), cut(text, size)))
    assert json.loads(b"{" + kept + b"}") == {
        key: each for key, each in value.items() if key not in ("_links", "_embedded")
    }
    assert json.loads(b"{" + await joined(unwrapped(cut(text + b" \n", size))) + b"}") == value
    if {"_links", "_embedded"} & value.keys():
        assert await mentions_underscore(cut(text, size))


async def test_an_escaped_name_is_the_same_name() -> None:
    text = rb'{"\u005f\u006c\u0069\u006e\u006b\u0073": 1, "b": 1.10}'
    for size in (1, 7, 100):
        assert await mentions_underscore(cut(text, size))
        assert await joined(without(("_links",), cut(text, size))) == b'"b": 1.10'
