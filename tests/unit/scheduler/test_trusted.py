"""How long an attempt is taken for its job's newest."""

import pytest

from qrt_scheduler.service import trusted
from qrt_scheduler.service.trusted import SECONDS, Trusted


def test_an_attempt_is_trusted_for_a_moment_and_no_other_one() -> None:
    now = [100.0]
    known = Trusted(monotonic=lambda: now[0])
    known.note("a", 2)
    assert known.holds("a", 2)
    assert not known.holds("a", 1)
    assert not known.holds("b", 2)
    now[0] += SECONDS
    assert not known.holds("a", 2)


def test_one_that_was_given_up_is_not() -> None:
    known = Trusted(monotonic=lambda: 0.0)
    known.note("a", 1)
    known.forget("a", 1)
    known.forget("a", 7)
    assert not known.holds("a", 1)


def test_the_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted, "MOST", 2)
    known = Trusted(monotonic=lambda: 0.0)
    for name in ("a", "b", "a", "c"):
        known.note(name, 1)
    assert [known.holds(name, 1) for name in "abc"] == [True, False, True]
