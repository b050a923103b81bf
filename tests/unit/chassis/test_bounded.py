"""A dict that forgets its oldest."""

import pytest

from qrt_chassis.bounded import Bounded


def test_the_oldest_is_forgotten_and_what_is_set_again_is_the_newest() -> None:
    known: Bounded[str, int] = Bounded(2)
    known["a"], known["b"] = 1, 2
    known["a"] = 3
    known["c"] = 4
    assert list(known.items()) == [("a", 3), ("c", 4)]
    known.move_to_end("a")
    known["d"] = 5
    assert list(known) == ["a", "d"]


def test_what_was_removed_in_whatever_way_makes_room() -> None:
    known: Bounded[str, int] = Bounded(3)
    for name in "abc":
        known[name] = 0
    assert known.pop("a") == 0
    assert known.pop("a", 7) == 7
    with pytest.raises(KeyError):
        known.pop("a")
    del known["b"]
    known["d"] = known["e"] = 0
    assert list(known) == ["c", "d", "e"]
    known.popitem(last=False)
    known["f"] = 0
    assert list(known) == ["d", "e", "f"]
    known.clear()
    for name in "abcd":
        known.setdefault(name, 0)
    assert list(known) == ["b", "c", "d"]
