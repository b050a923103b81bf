"""What a container marks on its standard output, however it arrives."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrt_executor.domain.markers import Markers, TooLong

BLOCK = b"PlanQK:Job:MultilineResult\n"
TALK = BLOCK.join(
    (
        b'before\nPlanQK:Job:InterimResult: {"n": 1}\n',
        b'{\n  "sum": 42\n}\n',
        b"\rbetween\n",
        b"{}\n",
        b'PlanQK:Job:Result: {"late": true}\nPlanQK:Job:InterimResult: [2]',
    )
)


def markers(*, message: int = 1000, result: int = 1000) -> Markers:
    return Markers(message_bytes=message, result_bytes=result)


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, len(TALK)), max_size=12))
def test_it_does_not_matter_where_the_stream_is_cut(cuts: list[int]) -> None:
    read, found, places = markers(), list[bytes](), [0, *sorted(cuts), len(TALK)]
    for start, end in itertools.pairwise(places):
        found += read.feed(TALK[start:end])
    found += read.feed(b"\n")
    assert read.result == b'{\n  "sum": 42\n}', "the first block, not the second, nor the later line"
    assert read.in_block
    assert found == [b'{"n": 1}', b"[2]"]


def test_the_older_line_counts_if_it_comes_first_and_only_the_first_of_it() -> None:
    read = markers()
    read.feed(b'PlanQK:Job:Result: {"a": 1}\r\nPlanQK:Job:Result: {"b": 2}\n' + BLOCK + b"{}\n" + BLOCK)
    assert (read.result, read.in_block) == (b'{"a": 1}', False)


def test_a_block_that_is_not_closed_is_no_result() -> None:
    read = markers()
    read.feed(BLOCK + b'{"sum": 42}\n')
    assert read.result is None


def test_what_is_no_json_is_no_interim_result() -> None:
    assert markers().feed(b'PlanQK:Job:InterimResult: NaN\nPlanQK:Job:InterimResult: "yes"\n') == [b'"yes"']


def test_words_within_a_line_mark_nothing() -> None:
    read = markers()
    assert read.feed(b'see PlanQK:Job:InterimResult: {"n": 1}\nPlanQK:Job:Interim\n') == []
    assert read.result is None


@pytest.mark.parametrize(
    "data",
    [
        BLOCK + b"x" * 2000,
        BLOCK + b"x\n" * 1000,
        b"PlanQK:Job:Result: " + b"x" * 2000,
        b'PlanQK:Job:InterimResult: "' + b"x" * 2000 + b'"\n',
        b'PlanQK:Job:InterimResult: "' + b"x" * 200 + b'"\n',
    ],
)
def test_what_is_kept_of_marked_lines_is_bounded(data: bytes) -> None:
    with pytest.raises(TooLong):
        markers(message=100).feed(data)


def test_a_line_without_end_and_without_a_mark_is_not_kept() -> None:
    read = markers(message=10, result=10)
    for _ in range(100):
        read.feed(b"x" * 10_000)
    assert read.feed(b"\nPlanQK:Job:Result: 1\n") == []
    assert read.result == b"1"
