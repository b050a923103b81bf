"""How often one token may ask: a bucket of requests that fills steadily. Pure; time is passed in."""

import math
from dataclasses import dataclass

from qrt_chassis.bounded import Bounded

REMEMBERED = 10_000
"""Tokens whose buckets are kept; beyond it the one unused longest is taken to be full."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rates:
    """A bucket for each token."""

    def __init__(self, *, per_second: float, burst: int) -> None:
        self.per_second = per_second
        """Of a token that has no rate of its own, and the most of one that has."""
        self._burst = float(burst)
        self._buckets: Bounded[str, _Bucket] = Bounded(REMEMBERED)

    def take(self, token: str, now: float, *, own: float | None = None) -> int:
        """Count a request; return 0, or the whole seconds until there is room for it.

        A token with a rate of its `own` may ask that often, as many times at once as in one second.
        """
        rate, burst = self.per_second, self._burst
        if own is not None and own < rate:
            rate, burst = own, min(burst, max(1.0, math.ceil(own)))
        bucket = self._buckets.get(token) or _Bucket(burst, now)
        self._buckets[token] = bucket
        bucket.left = min(burst, bucket.left + max(0.0, now - bucket.at) * rate)
        bucket.at = now
        if bucket.left < 1:
            return max(1, math.ceil((1 - bucket.left) / rate))
        bucket.left -= 1
        return 0
