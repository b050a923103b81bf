"""The queue of jobs that wait, shared fairly between owners.

Order: priority first, then the owner with the least running work, then age (ids sort by age).
Kept in memory by the dispatching scheduler alone and rebuilt from the store when one takes over.
"""

import heapq
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued job, as much of it as choosing needs."""

    job_id: str
    owner: str
    priority: int


class Backlog:
    """Queued jobs and how much each owner has running. Costs O(owners) to pick, O(log n) to add."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._by_owner: dict[str, list[tuple[int, str]]] = {}
        self._running: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many jobs wait."""
        return len(self._waiting)

    def add(self, job: Waiting) -> None:
        """Queue a job; one that waits already stays where it is."""
        if job.job_id in self._waiting:
            return
        self._waiting[job.job_id] = job
        heapq.heappush(self._by_owner.setdefault(job.owner, []), (-job.priority, job.job_id))

    def remove(self, job_id: str) -> None:
        """Forget a job; harmless if it does not wait."""
        self._waiting.pop(job_id, None)

    def pick(self) -> Waiting | None:
        """Take the job that is due next, None if nothing waits."""
        best: tuple[int, int, str] | None = None
        for owner in list(self._by_owner):
            head = self._head(owner)
            if head is None:
                continue
            rank = (head[0], self._running[owner], head[1])
            best = rank if best is None or rank < best else best
        return self._waiting.pop(best[2]) if best else None

    def started(self, owner: str) -> None:
        """Count one more running job of `owner`."""
        self._running[owner] += 1

    def stopped(self, owner: str) -> None:
        """Count one running job of `owner` less."""
        self._running[owner] -= 1
        if self._running[owner] <= 0:
            del self._running[owner]

    def _head(self, owner: str) -> tuple[int, str] | None:
        heap = self._by_owner[owner]
        while heap and heap[0][1] not in self._waiting:
            heapq.heappop(heap)
        if not heap:
            del self._by_owner[owner]
            return None
        return heap[0]
