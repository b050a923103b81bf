"""Log bytes become pieces of text."""

from hypothesis import given
from hypothesis import strategies as st

from qrt_executor.domain.logtext import PIECE_CHARACTERS, LogBudget, LogText


def text_of(chunks: list[bytes], limit: int = 1 << 30) -> tuple[list[str], LogBudget]:
    budget = LogBudget(limit)
    text = LogText(budget)
    pieces = [piece for chunk in chunks for piece in text.feed(chunk)]
    return pieces + text.flush(final=True), budget


@given(st.lists(st.binary(max_size=50)))
def test_the_pieces_put_together_are_what_was_written(chunks: list[bytes]) -> None:
    pieces, _ = text_of(chunks)
    assert "".join(pieces) == b"".join(chunks).decode("utf-8", "replace")


def test_a_piece_ends_with_a_line() -> None:
    budget = LogBudget(1000)
    text = LogText(budget)
    assert text.feed(b"one\ntwo\nthr") == ["one\ntwo\n"]
    assert text.unfinished
    assert text.feed(b"ee\r\n") == ["three\r\n"]
    assert not text.unfinished


def test_a_long_line_is_cut() -> None:
    pieces, _ = text_of([b"x" * (3 * PIECE_CHARACTERS)])
    assert max(map(len, pieces)) <= PIECE_CHARACTERS
    assert sum(map(len, pieces)) == 3 * PIECE_CHARACTERS


@given(st.lists(st.binary(max_size=50)), st.integers(min_value=0, max_value=200))
def test_what_is_over_the_budget_is_counted(chunks: list[bytes], limit: int) -> None:
    whole = b"".join(chunks)
    pieces, budget = text_of(chunks, limit)
    assert "".join(pieces) == whole[:limit].decode("utf-8", "replace")
    assert budget.dropped == max(0, len(whole) - limit)
