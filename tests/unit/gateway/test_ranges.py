"""Which bytes a Range header asks for."""

import pytest

from qrt_gateway.domain.ranges import ByteRange, Unsatisfiable, asked_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=2-4", ByteRange(2, 5)),
        ("bytes=2-", ByteRange(2, 10)),
        ("bytes=-3", ByteRange(7, 10)),
        ("bytes=-99", ByteRange(0, 10)),
        ("bytes=5-99", ByteRange(5, 10)),
        ("Bytes=1-1", ByteRange(1, 2)),
    ],
)
def test_a_range_is_cut_to_the_file(header: str, expected: ByteRange) -> None:
    assert asked_range(header, size=10) == expected


@pytest.mark.parametrize(
    "header", [None, "", "bytes=-", "bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=x-y", "bytes=1"]
)
def test_what_asks_for_no_single_range_asks_for_the_whole(header: str | None) -> None:
    assert asked_range(header, size=10) is None


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_bytes_beyond_the_end_cannot_be_had(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        asked_range(header, size=size)
