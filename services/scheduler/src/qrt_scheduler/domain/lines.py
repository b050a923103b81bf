"""Waiting jobs in line: each owner's in their order, and the owners by whose job is due first.

An owner's jobs stand in *lanes*. Those of one lane are started in order, so only the first of each is ever
looked at. Owners are kept sorted by the rank of their first job, so that what a choice costs grows with the
jobs that cannot be started just now, not with those that wait.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

Rank = tuple[int, int, int, str]
"""Priority (negated), running jobs of the owner, the owner's last turn, job id: the least is due first."""
Place = tuple[int, str]
"""Priority (negated) and id of a job."""


@dataclass(slots=True)
class _Line:
    """The waiting jobs of one owner."""

    lanes: dict[Hashable, list[Place]] = field(default_factory=dict)
    """Each sorted: most jobs come last and leave first, and moving 100,000 references takes microseconds."""
    heads: list[Place] = field(default_factory=list)
    """The first of each lane, sorted."""
    filed: Rank | None = None
    """Under which rank the owner stands among all, if it does."""


class Lines:
    """The lines of all owners."""

    def __init__(self, standing: Callable[[str], tuple[int, int] | None]) -> None:
        """`standing` tells an owner's running jobs and last turn; None passes the owner over for now."""
        self._standing = standing
        self._lines: dict[str, _Line] = {}
        self._order: list[tuple[Rank, str]] = []

    def add(self, owner: str, lane: Hashable, place: Place) -> None:
        """Let a job wait at the end of a lane, or further in front by its priority and age."""
        line = self._lines.setdefault(owner, _Line())
        waiting = line.lanes.setdefault(lane, [])
        before = waiting[0] if waiting else None
        insort(waiting, place)
        self._changed(owner, line, before, waiting[0])

    def remove(self, owner: str, lane: Hashable, place: Place) -> None:
        """Take a job out, wherever it stands."""
        line = self._lines[owner]
        waiting = line.lanes[lane]
        before = waiting[0]
        del waiting[bisect_left(waiting, place)]
        if not waiting:
            del line.lanes[lane]
        self._changed(owner, line, before, waiting[0] if waiting else None)

    def refile(self, owner: str) -> None:
        """Take note that an owner's standing has changed."""
        line = self._lines.get(owner)
        if line is None:
            return
        standing = self._standing(owner)
        rank = (line.heads[0][0], *standing, line.heads[0][1]) if line.heads and standing else None
        if rank != line.filed:
            if line.filed is not None:
                del self._order[bisect_left(self._order, (line.filed, owner))]
            if rank is not None:
                insort(self._order, (rank, owner))
            line.filed = rank
        if not line.lanes:
            del self._lines[owner]

    def in_turn(self) -> Iterator[Rank]:
        """Yield the rank of the first job of every lane, the one that is due first, first.

        Nothing may be added or removed meanwhile.
        """
        others: list[tuple[Rank, str, int]] = []
        """The next job of each owner whose first ones were yielded already."""
        for rank, owner in self._order:
            while others and others[0][0] < rank:
                yield self._next_of(others)
            yield rank
            self._push(others, owner, 1)
        while others:
            yield self._next_of(others)

    def _next_of(self, others: list[tuple[Rank, str, int]]) -> Rank:
        rank, owner, index = heapq.heappop(others)
        self._push(others, owner, index + 1)
        return rank

    def _push(self, others: list[tuple[Rank, str, int]], owner: str, index: int) -> None:
        line = self._lines[owner]
        if line.filed is not None and index < len(line.heads):
            priority, job_id = line.heads[index]
            heapq.heappush(others, ((priority, line.filed[1], line.filed[2], job_id), owner, index))

    def _changed(self, owner: str, line: _Line, before: Place | None, after: Place | None) -> None:
        if before == after:
            return
        if before is not None:
            del line.heads[bisect_left(line.heads, before)]
        if after is not None:
            insort(line.heads, after)
        self.refile(owner)
