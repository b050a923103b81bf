"""Which errors pass by themselves."""

import pytest
from pymongo.errors import AutoReconnect, DuplicateKeyError, ServerSelectionTimeoutError

from qrt_chassis.backoff import Backoff
from qrt_chassis.passing import is_passing
from qrt_contracts.faults import InvalidRequest, Overloaded, Unavailable


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        TimeoutError(),
        AutoReconnect(),
        ServerSelectionTimeoutError(),
        Unavailable("x"),
        Overloaded("x"),
        ExceptionGroup("both", [TimeoutError(), ConnectionError()]),
    ],
)
def test_what_passes(error: Exception) -> None:
    assert is_passing(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        KeyError(),
        DuplicateKeyError("x"),
        InvalidRequest("x"),
        FileNotFoundError(),
        ExceptionGroup("one does not", [TimeoutError(), ValueError()]),
    ],
)
def test_what_stays(error: Exception) -> None:
    assert not is_passing(error)


def test_pauses_grow_and_are_bounded_and_begin_anew() -> None:
    backoff = Backoff(first=0.1, longest=2.0)
    pauses = [backoff.next() for _ in range(50)]
    assert 0.05 <= pauses[0] <= 0.1
    assert pauses[4] > pauses[0]
    assert all(1.0 <= pause <= 2.0 for pause in pauses[10:])
    backoff.reset()
    assert backoff.next() <= 0.1
