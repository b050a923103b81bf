"""Attempts that were the newest of their jobs a moment ago: their outputs are stored without asking again."""

from collections import OrderedDict
from collections.abc import Callable

SECONDS = 1.0
"""How long an attempt that was the newest is taken to be so still."""
MOST = 10_000


class Trusted:
    """What is known of the newest attempts, by whoever stored or read it last."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: OrderedDict[tuple[str, int], float] = OrderedDict()

    def note(self, job_id: str, attempt: int) -> None:
        """Note that an attempt is its job's newest, and not lost."""
        key = job_id, attempt
        self._until[key] = self._monotonic() + SECONDS
        self._until.move_to_end(key)
        while len(self._until) > MOST:
            self._until.popitem(last=False)

    def forget(self, job_id: str, attempt: int) -> None:
        """Note that an attempt was given up."""
        self._until.pop((job_id, attempt), None)

    def holds(self, job_id: str, attempt: int) -> bool:
        """Tell whether an attempt was the newest within the last `SECONDS`."""
        return self._until.get((job_id, attempt), 0.0) > self._monotonic()
