"""Frames from a program are cut, capped and kept in order."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrt_executor.adapters.wire import Caps, Frame, FrameReader, ProtocolViolation, claim_from, frame
from qrt_runner import frames as theirs

CAPS = Caps(message_bytes=100, result_bytes=200)


def test_both_halves_use_the_same_numbers() -> None:
    assert {f.name: f.value for f in Frame} == {f.name: f.value for f in theirs.Frame}
    assert frame(Frame.START, b"abc") == theirs.HEADER.pack(theirs.Frame.START, 3) + b"abc"


@given(st.lists(st.binary(max_size=100), max_size=5), st.integers(min_value=1, max_value=7))
def test_frames_survive_any_cut(payloads: list[bytes], step: int) -> None:
    data = b"".join(frame(Frame.INTERIM, p) for p in payloads) + frame(Frame.RESULT, b"1")
    reader = FrameReader(CAPS)
    found = [f for at in range(0, len(data), step) for f in reader.feed(data[at : at + step])]
    assert found == [(Frame.INTERIM, p) for p in payloads] + [(Frame.RESULT, b"1")]


@pytest.mark.parametrize(
    "data",
    [
        frame(Frame.READY, b""),
        frame(Frame.START, b"{}"),
        struct.pack("!BI", 99, 0),
        struct.pack("!BI", Frame.INTERIM, 1 << 31),
        struct.pack("!BI", Frame.RESULT, 201),
        frame(Frame.RESULT, b"1") + frame(Frame.RESULT, b"2"),
        frame(Frame.ERROR, b"{}") + frame(Frame.INTERIM, b"x"),
        b"garbage" * 10,
    ],
)
def test_what_a_program_may_not_send_is_a_violation(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        FrameReader(CAPS).feed(data)


@given(st.binary(max_size=300))
def test_garbage_never_raises_anything_else(data: bytes) -> None:
    with contextlib.suppress(ProtocolViolation):
        FrameReader(CAPS).feed(data)


def test_an_error_report_is_text_whatever_it_holds() -> None:
    claim = claim_from(b'{"code": [1], "detail": {"a": null}, "traceback": 3}')
    assert (claim.code, claim.detail, claim.traceback) == ("[1]", "{'a': None}", "3")


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff"])
def test_an_error_report_that_is_no_object_is_a_violation(payload: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        claim_from(payload)
