"""The operator's ceilings bound what programs ask for."""

from qrt_contracts.values import LimitOverrides, Limits
from qrt_executor.domain.limits import within


def test_a_ceiling_lowers_what_is_above_it_and_leaves_the_rest() -> None:
    found = within(Limits(wall_seconds=100, processes=8), LimitOverrides(wall_seconds=10, processes=16))
    assert (found.wall_seconds, found.processes) == (10, 8)
    assert found.memory_bytes == Limits().memory_bytes
