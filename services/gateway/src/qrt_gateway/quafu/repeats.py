"""Who has just been sent the end of a job: some clients connect again after a proper close.

A client library of 2025 takes a close frame for an error and its user connects again, up to eight
times, with pauses of up to 8 s, 40 s in all. Replaying the job each time would repeat its messages
for ever, as each message resets that client's count. So whoever was told the end, and is back
within a pause, is told only that there is no more.
"""

from collections.abc import Callable
from dataclasses import dataclass

from qrt_chassis.bounded import Bounded

PAUSE_SECONDS = 12.0
"""Whoever stays away longer than this is no such client, and gets everything again."""
WINDOW_SECONDS = 60.0
"""Such a client has given up by now."""
SIZE = 10_000
"""Pairs remembered; the oldest are forgotten first."""


@dataclass(slots=True)
class _Told:
    first: float
    last: float


class Repeats:
    """Remembers (token, job) pairs for a short while."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._told: Bounded[tuple[str, str], _Told] = Bounded(SIZE)

    def __len__(self) -> int:
        return len(self._told)

    def told(self, token: str, job_id: str) -> None:
        """Note that the end of a job was delivered; `token` is a digest."""
        now = self._monotonic()
        self._told[(token, job_id)] = _Told(now, now)

    def again(self, token: str, job_id: str) -> bool:
        """Tell whether this connection is such a client's, back again."""
        told, now = self._told.get((token, job_id)), self._monotonic()
        if told is None:
            return False
        if now - told.last > PAUSE_SECONDS or now - told.first > WINDOW_SECONDS:
            del self._told[(token, job_id)]
            return False
        told.last = now
        return True
