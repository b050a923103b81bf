"""When what comes: a Poisson process and a mix of kinds, the same for the same seed."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Arrival:
    """One job that is to be sent."""

    at: float
    """Seconds after the start."""
    kind: str
    owner: int


def arrivals(
    *, rate: float, seconds: float, mix: Mapping[str, float], owners: int, seed: int
) -> Iterator[Arrival]:
    """Yield what comes within `seconds`, `rate` a second on average, kinds in the shares of `mix`."""
    chance = random.Random(seed)
    kinds, weights = list(mix), list(mix.values())
    at = chance.expovariate(rate)
    while at < seconds:
        (kind,) = chance.choices(kinds, weights)
        yield Arrival(at, kind, chance.randrange(owners))
        at += chance.expovariate(rate)
