"""Who is told only that there is no more."""

import pytest

from qrt_gateway.quafu import repeats
from qrt_gateway.quafu.repeats import Repeats
from tests.unit.gateway.world import Clock

pytestmark = pytest.mark.quafu

PAUSES = (0.5, 1, 2, 4, 8, 8, 8, 8)
"""What a published client waits between its connections."""


def test_a_client_that_takes_a_close_for_an_error_is_recognised_until_it_gives_up() -> None:
    clock = Clock()
    seen = Repeats(clock.monotonic)
    assert not seen.again("token", "job")
    seen.told("token", "job")
    for pause in PAUSES:
        clock.seconds += pause
        assert seen.again("token", "job")


def test_whoever_comes_back_later_gets_everything_again() -> None:
    clock = Clock()
    seen = Repeats(clock.monotonic)
    seen.told("token", "job")
    clock.seconds = repeats.PAUSE_SECONDS + 1
    assert not seen.again("token", "job")


def test_whoever_keeps_coming_gets_everything_again_in_the_end() -> None:
    clock = Clock()
    seen = Repeats(clock.monotonic)
    seen.told("token", "job")
    answers = []
    for _ in range(10):
        clock.seconds += 10
        answers.append(seen.again("token", "job"))
    assert answers[:6] == [True] * 6
    assert not all(answers)


def test_only_that_token_and_that_job_are_meant() -> None:
    seen = Repeats(Clock().monotonic)
    seen.told("token", "job")
    assert not seen.again("other", "job")
    assert not seen.again("token", "other")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "SIZE", 3)
    seen = Repeats(Clock().monotonic)
    for number in range(10):
        seen.told("token", str(number))
    assert len(seen) == 3
    assert seen.again("token", "9")
    assert not seen.again("token", "6")
