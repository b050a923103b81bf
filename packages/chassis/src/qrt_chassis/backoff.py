"""Pauses between tries: growing, bounded, spread out."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Backoff:
    """The pauses before successive tries of one thing; `reset` after a success."""

    first: float = 0.1
    """Seconds before the second try."""
    longest: float = 5.0
    """Seconds that no pause exceeds."""
    _tries: int = field(default=0, init=False)

    def next(self) -> float:
        """Return the seconds to wait now: doubling, of which the upper half is random.

        The randomness keeps a fleet that lost the same broker from coming back in one instant.
        """
        bound = min(self.longest, self.first * 2.0 ** min(self._tries, 32))
        self._tries += 1
        return bound * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """Start again with the shortest pause."""
        self._tries = 0
