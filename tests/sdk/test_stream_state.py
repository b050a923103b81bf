"""The rules of following outputs, without connections."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quafu_runtime import errors
from quafu_runtime._patience import Patience
from quafu_runtime._stream import STEADY_SECONDS, StreamState
from quafu_runtime._wire import Reply
from tests.sdk import frames


def numbers(state: StreamState, *texts: str) -> list[tuple[int, int]]:
    return [(output.attempt, output.number) for text in texts for output in state.received(text)]


@given(seed=st.integers(), total=st.integers(0, 60), cuts=st.integers(0, 6))
def test_whatever_is_cut_or_repeated_every_output_comes_once_in_order(
    seed: int, total: int, cuts: int
) -> None:
    chance = random.Random(seed)
    state = StreamState(frames.JOB)
    seen: list[int] = []
    for connection in range(cuts + 1):
        # A server may send more of the past than it was asked for.
        position = chance.randint(0, int(state.query()["after"]))
        until = total if connection == cuts else chance.randint(position, total)
        while position < until:
            size = chance.randint(1, until - position)
            batch = range(position + 1, position + size + 1)
            seen += [output.number for output in state.received(frames.outputs(batch))]
            position += size
    state.received(frames.end(total))

    assert seen == list(range(1, total + 1))
    assert state.end is not None


def test_a_connection_made_later_asks_for_what_is_missing() -> None:
    state = StreamState(frames.JOB)
    assert state.query() == {"after": "0"}

    state.received(frames.attempt(2))
    state.received(frames.outputs([1, 2, 3], attempt=2))

    assert state.query() == {"after": "3", "attempt": "2"}


def test_a_new_attempt_starts_anew_and_ghosts_of_the_old_one_are_dropped() -> None:
    state = StreamState(frames.JOB)

    seen = numbers(
        state,
        frames.outputs([1, 2]),
        frames.outputs([1], attempt=2),
        frames.outputs([3], attempt=1),
        frames.attempt(1),
        frames.outputs([2], attempt=2),
        frames.end(2, attempt=2),
    )

    assert seen == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_hole_is_never_passed_over() -> None:
    state = StreamState(frames.JOB)
    state.received(frames.outputs([1]))

    with pytest.raises(errors.StreamBroken):
        state.received(frames.outputs([3]))

    assert state.query()["after"] == "1"


def test_what_comes_before_a_hole_is_delivered() -> None:
    state = StreamState(frames.JOB)

    assert numbers(state, frames.outputs([1, 2, 4])) == [(1, 1), (1, 2)]
    with pytest.raises(errors.StreamBroken):
        state.received(frames.outputs([5]))


def test_an_end_that_comes_too_early_is_not_the_end() -> None:
    state = StreamState(frames.JOB)
    state.received(frames.outputs([1]))

    with pytest.raises(errors.StreamBroken, match="2 to 3"):
        state.received(frames.end(3))

    assert state.end is None


def test_the_end_of_an_attempt_nobody_saw_needs_its_outputs() -> None:
    state = StreamState(frames.JOB)
    state.received(frames.outputs([1, 2]))

    with pytest.raises(errors.StreamBroken):
        state.received(frames.end(2, attempt=2))

    assert state.query() == {"after": "0", "attempt": "2"}


def test_a_place_given_from_outside_is_kept() -> None:
    state = StreamState(frames.JOB, after=2)

    assert numbers(state, frames.attempt(1), frames.outputs([1, 2, 3])) == [(1, 3)]


@pytest.mark.parametrize("text", [json.dumps({"type": "newer", "x": 1}), json.dumps([1]), frames.state()])
def test_frames_of_no_meaning_here_are_skipped(text: str) -> None:
    assert StreamState(frames.JOB).received(text) == ()


@pytest.mark.parametrize("text", ["{", json.dumps({"type": "outputs", "outputs": 1})])
def test_a_frame_that_cannot_be_read_ends_the_connection(text: str) -> None:
    with pytest.raises(errors.StreamBroken):
        StreamState(frames.JOB).received(text)


def test_an_error_frame_ends_the_connection_or_the_stream() -> None:
    state = StreamState(frames.JOB)

    with pytest.raises(errors.StreamBroken, match="the detail"):
        state.received(frames.error("Unavailable", retryable=True))
    with pytest.raises(errors.JobNotFound):
        state.received(frames.error("NotFound", retryable=False))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, errors.NotAuthenticated),
        (404, errors.JobNotFound),
        (429, errors.StreamBroken),
        (502, errors.StreamBroken),
    ],
)
def test_a_refused_handshake_says_whether_to_come_back(status: int, expected: type[Exception]) -> None:
    assert type(StreamState(frames.JOB).refused(Reply(status, b""))) is expected


def test_patience_ends_when_nothing_comes_and_begins_again_with_every_output() -> None:
    state = StreamState(frames.JOB, patience=Patience(total_seconds=10))
    state.lost(None, now=0)
    state.lost(None, now=9)
    state.received(frames.outputs([1]))
    state.lost(None, now=20)

    with pytest.raises(errors.StreamBroken, match="after number 1 of attempt 1: cut"):
        state.lost(OSError("cut"), now=31)


def test_a_long_quiet_connection_that_breaks_is_not_an_old_failure() -> None:
    state = StreamState(frames.JOB, patience=Patience(total_seconds=10))
    state.lost(None, now=0)
    state.opened(now=1)

    assert state.lost(None, now=1 + STEADY_SECONDS) < 1


def test_connections_that_break_at_once_are_failures() -> None:
    state = StreamState(frames.JOB, patience=Patience(total_seconds=10))
    for second in range(10):
        state.opened(now=second)
        state.received(frames.state())
        state.lost(None, now=second + 0.5)

    with pytest.raises(errors.StreamBroken):
        state.lost(None, now=11)
