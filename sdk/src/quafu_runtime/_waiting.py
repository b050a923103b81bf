"""How long to let the server hold back its answer about a job that has not ended."""

from qrt_contracts.api import MAX_WAIT_SECONDS

EARLY_SECONDS = 0.2


class Waiting:
    """One wait for a job's end, as a row of questions that the server may hold back for a while each."""

    def __init__(self, timeout: float | None, *, now: float) -> None:
        self._deadline = None if timeout is None else now + timeout
        self._asked = now
        self._first = True

    def ask(self, *, now: float) -> float | None:
        """Return how many seconds to ask for now, None when the wait is over. The first is never None."""
        left = float(MAX_WAIT_SECONDS) if self._deadline is None else self._deadline - now
        if left <= 0 and not self._first:
            return None
        self._first = False
        self._asked = now
        return max(0.0, min(left, MAX_WAIT_SECONDS))

    def rest(self, *, now: float) -> float:
        """Return how long to rest before the next question.

        Nothing after an answer that was held back; a little after one that came at once without the
        end, as from a gateway that is about to stop, so that asking never becomes a busy loop.
        """
        return EARLY_SECONDS if now - self._asked < EARLY_SECONDS else 0.0
