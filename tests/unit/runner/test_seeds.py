"""Random numbers of every fork's own."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from qrt_runner import seeds


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    seeds._place.cache_clear()
    yield
    seeds._place.cache_clear()
    np.random.seed()


def _drawn() -> list[int]:
    return [int(each) for each in np.random.randint(0, 1 << 62, size=700)]


def test_the_global_generator_draws_other_numbers_each_time() -> None:
    seeds.differ()
    first = _drawn()
    seeds.differ()
    assert not set(first) & set(_drawn())


def test_all_of_the_key_is_new_and_none_of_it_is_used() -> None:
    seeds.differ()
    key, at = _state()
    seeds.differ()
    other, again = _state()
    assert at == again == len(key)
    assert sum(a == b for a, b in zip(key, other, strict=True)) < 5
    assert len(set(other)) > 600


def _state() -> tuple[list[int], int]:
    _, key, position, *_ = np.random.get_state()
    return [int(each) for each in key], int(position)


def test_drawing_after_it_goes_on_as_from_that_key() -> None:
    seeds.differ()
    twin = np.random.RandomState()
    twin.set_state(np.random.get_state())
    assert list(twin.random(1000)) == list(np.random.random(1000))


@pytest.mark.parametrize("other", [np.random.PCG64, np.random.SFC64])
def test_a_generator_of_another_kind_is_not_written_to(monkeypatch: pytest.MonkeyPatch, other: Any) -> None:
    monkeypatch.setattr(np.random, "get_bit_generator", other)
    assert seeds._place() is None
    first = _state()
    seeds.differ()
    assert first != _state()


def test_a_numpy_that_does_not_tell_is_seeded_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(np.random, "get_bit_generator")
    seeds.differ()
    first = _drawn()
    seeds.differ()
    assert first != _drawn()
