"""Attempts that were the newest of their jobs a moment ago: their outputs are stored without asking again."""

from collections.abc import Callable

from qrt_chassis.bounded import Bounded

SECONDS = 1.0
"""How long an attempt that was the newest is taken to be so still."""
MOST = 10_000


class Trusted:
    """What is known of the newest attempts, by whoever stored or read it last."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: Bounded[tuple[str, int], float] = Bounded(MOST)

    def note(self, job_id: str, attempt: int) -> None:
        """Note that an attempt is its job's newest, and not lost."""
        self._until[job_id, attempt] = self._monotonic() + SECONDS

    def forget(self, job_id: str, attempt: int) -> None:
        """Note that an attempt was given up."""
        self._until.pop((job_id, attempt), None)

    def holds(self, job_id: str, attempt: int) -> bool:
        """Tell whether an attempt was the newest within the last `SECONDS`."""
        return self._until.get((job_id, attempt), 0.0) > self._monotonic()
