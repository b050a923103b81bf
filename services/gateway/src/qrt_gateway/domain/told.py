"""Which states of many jobs one listener was told: each once, in the order in which they were reached."""

from collections.abc import Iterable, Iterator

from qrt_chassis.bounded import Bounded
from qrt_contracts.api import StateFrame
from qrt_contracts.events import JobChanged
from qrt_gateway.domain.following import rank_of

REMEMBERED = 10_000
"""Jobs; a state of one forgotten may be told once more."""


class Told:
    """Remembers the newest state told of each job."""

    def __init__(self) -> None:
        self._ranks: Bounded[str, tuple[int, int]] = Bounded(REMEMBERED)

    def fresh(self, news: Iterable[JobChanged]) -> Iterator[StateFrame]:
        """Yield the states among `news` that are newer than what was told, and note them as told."""
        for each in news:
            rank = rank_of(each.status, each.attempt)
            if rank <= self._ranks.get(each.job_id, (-1, 0)):
                continue
            self._ranks[each.job_id] = rank
            yield StateFrame(job_id=each.job_id, status=each.status, attempt=each.attempt)
