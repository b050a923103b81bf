"""No secret is shown, whatever form it takes and however the stream that holds it is cut."""

import base64
import html
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrt_executor.domain.redaction import MASK, Redactor

SECRET = 'p@ss/w0rd "zürich"\nand+more='
ALPHABET = "ab"

pytestmark = pytest.mark.kipu


def streamed(redactor: Redactor, chunks: list[bytes]) -> bytes:
    stream = redactor.stream()
    return b"".join([*(stream.feed(chunk) for chunk in chunks), stream.finish()])


def cut(text: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(each, len(text)) for each in places})
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def plainly(needles: list[bytes], text: bytes) -> bytes:
    """What redaction means, byte by byte."""
    covered = [False] * len(text)
    for needle in needles:
        for at in range(len(text) - len(needle) + 1):
            if text[at : at + len(needle)] == needle:
                covered[at : at + len(needle)] = [True] * len(needle)
    out = bytearray()
    for at, byte in enumerate(text):
        if not covered[at]:
            out.append(byte)
        elif at == 0 or not covered[at - 1]:
            out += MASK
    return bytes(out)


@given(
    st.lists(st.text(ALPHABET, min_size=1, max_size=5), min_size=1, max_size=3),
    st.text(ALPHABET + "c", max_size=60),
    st.lists(st.integers(0, 60)),
)
def test_a_stream_is_redacted_alike_wherever_it_is_cut(
    secrets: list[str], text: str, places: list[int]
) -> None:
    redactor, data = Redactor(secrets), text.encode()
    assert streamed(redactor, cut(data, places)) == plainly([each.encode() for each in secrets], data)


@given(st.lists(st.binary(max_size=40)))
def test_without_secrets_nothing_changes(chunks: list[bytes]) -> None:
    assert streamed(Redactor(), chunks) == b"".join(chunks)


def test_what_cannot_be_a_secret_is_shown_at_once_and_no_more_is_held_back_than_may_be_one() -> None:
    stream = Redactor(["hunter2"]).stream()
    assert stream.feed(b"hello\nhun") == b"hello\n"
    assert stream.feed(b"gry\nhunter") == b"hungry\n"
    assert stream.feed(b"2!") == b"***!"
    repeated = Redactor(["aaaa"]).stream()
    shown = b"".join(repeated.feed(b"a" * 1000) for _ in range(100))
    assert len(repeated._held) < 4
    assert shown + repeated.finish() == MASK


FORMS = [
    SECRET,
    repr(SECRET),
    ascii({"token": SECRET}),
    repr(SECRET.encode()),
    json.dumps({"a": [SECRET]}),
    json.dumps(SECRET, ensure_ascii=False),
    "https://host/?token=" + urllib.parse.quote(SECRET) + "&x=1",
    "https://host/?" + urllib.parse.urlencode({"token": SECRET}),
    urllib.parse.quote(SECRET, safe=""),
    html.escape(SECRET),
    SECRET.encode().hex(),
    SECRET.encode().hex().upper(),
    base64.b64encode(SECRET.encode()).decode(),
    base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "Authorization: Basic " + base64.b64encode(f"a:{SECRET}".encode()).decode(),
    "Authorization: Basic " + base64.b64encode(f"user:{SECRET}:more".encode()).decode(),
    "Authorization: Basic " + base64.urlsafe_b64encode(f"user1:{SECRET}".encode()).decode(),
    'one line of it: p@ss/w0rd "zürich" only',
]


@pytest.mark.parametrize("text", FORMS)
def test_the_forms_a_secret_commonly_takes_are_struck_out(text: str) -> None:
    redacted = Redactor([SECRET]).text(f"before {text} after")
    assert "***" in redacted
    # Of base64 in the midst of something else, the few characters shared with that may stay.
    assert len(redacted) < len("before  after") + 40
    assert redacted.startswith("before ")
    assert redacted.endswith(" after")
    assert streamed(Redactor([SECRET]), [bytes([b]) for b in f"before {text} after".encode()]) == (
        redacted.encode()
    )


def test_short_secrets_are_struck_out_too_but_not_what_merely_looks_like_them_encoded() -> None:
    redacted = Redactor(["pin7"]).text("pin7 is 70696e37 or cGluNw")
    assert redacted == "*** is 70696e37 or cGluNw"


def test_a_part_of_a_secret_is_struck_out_where_a_text_was_cut_off() -> None:
    secret = "0123456789abcdef"
    redactor = Redactor([secret])
    assert redactor.text("it said 0123456789") == "it said ***"
    assert redactor.text("it said 0123") == "it said 0123"
    shortened = "x 0123456789\n[... 4 characters left out ...]\n6789abcdef y"
    assert redactor.text(shortened) == "x ***\n[... 4 characters left out ...]\n*** y"


def test_many_large_secrets_in_a_long_line_are_bounded_work() -> None:
    redactor = Redactor([f"{n:04}" + "a" * 1000 for n in range(60)])
    stream = redactor.stream()
    shown = b"".join(stream.feed(b"a" * 65536) for _ in range(2))
    assert shown + stream.finish() == b"a" * 131072
