"""When to try again, and for how long. No clock, no sleeping: the caller has both."""

import random
from dataclasses import dataclass

from quafu_runtime import errors
from quafu_runtime._wire import Repeat, Reply, Request, problem_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to go on trying. Pauses double up to the longest; up to half of each is chance."""

    total_seconds: float
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0

    def pause(self, tries: int, *, elapsed: float) -> float | None:
        """Return the pause after failure number `tries` (from 1), None when patience is at its end."""
        if elapsed >= self.total_seconds:
            return None
        doubled = self.first_pause_seconds * 2.0 ** min(tries - 1, 30)
        pause = min(doubled, self.longest_pause_seconds)
        return pause * (1 - random.random() / 2)  # noqa: S311  # spreads clients, guards nothing


FIRST_CONTACT = Patience(total_seconds=1.0)
"""Before the runtime has ever answered: most likely the address is wrong, so say so soon."""

ACQUAINTED = Patience(total_seconds=30.0)
"""After it has answered once: it is probably being restarted."""

STREAMING = Patience(total_seconds=60.0)
"""Since the last output or connection of a stream."""


class Sending:
    """One request on its way, over as many tries as it may have."""

    def __init__(self, request: Request, patience: Patience, *, now: float) -> None:
        self._request = request
        self.patience = patience
        """What the next request begins with."""
        self._started = now
        self._tries = 0

    def failed(self, cause: Exception, *, sent: bool, now: float) -> float:
        """Return the pause before the next try after no answer came; `sent`: it may have arrived.

        Raises:
            Unreachable: there is no next try.
        """
        pause = self._pause(now)
        if pause is None or (sent and self._request.repeat is Repeat.UNSAFE):
            what = f"{self._request.method} {self._request.path}"
            reason = str(cause) or type(cause).__name__
            unsure = " (it may have been carried out)" if sent and self._request.method != "GET" else ""
            raise errors.Unreachable(f"no answer to {what}: {reason}{unsure}") from cause
        return pause

    def answered(self, reply: Reply, *, now: float) -> float | None:
        """Return the pause before the next try, None if this reply is the one to read."""
        self.patience = ACQUAINTED
        not_done = reply.status in (408, 429)
        if not not_done and reply.status < 500:
            return None
        problem = problem_of(reply)
        if not problem.retryable or not (not_done or self._request.repeat is Repeat.SAFE):
            return None
        pause = self._pause(now)
        if pause is None:
            return None
        return max(pause, min(problem.retry_after_seconds or 0, self.patience.longest_pause_seconds))

    def _pause(self, now: float) -> float | None:
        self._tries += 1
        return self.patience.pause(self._tries, elapsed=now - self._started)
