"""What a run does, decided by its seed alone."""

import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal["steady", "once", "failing", "cancelled", "silent"]

FAULTS: dict[str, int] = {
    "kill a gateway": 2,
    "kill a registry": 1,
    "kill a scheduler": 4,
    "kill an executor": 3,
    "drain an executor": 2,
    "stop an executor past its lease": 2,
    "stop a scheduler for a while": 1,
    "restart the broker": 1,
    "kill the broker": 1,
    "restart the database": 1,
    "kill the database": 1,
    "cut the broker's connections": 3,
    "cut the database's connections": 2,
    "hold the broker's connections": 1,
    "repeat and shuffle messages": 4,
}
"""Each kind of harm and its weight."""

STEADY: tuple[Kind, ...] = ("steady",) * 14

BRIEF = (
    "kill a scheduler",
    "kill an executor",
    "stop an executor past its lease",
    "restart the broker",
    "restart the database",
    "cut the broker's connections",
    "repeat and shuffle messages",
    "kill a gateway",
    "repeat and shuffle messages",
)
"""The short form: these, in an order that the seed decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One piece of harm."""

    kind: str
    pause: float
    """Seconds before it."""
    choice: int
    """Which of the replicas, how many bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One job to be submitted."""

    number: int
    owner: int
    kind: Kind
    count: int
    pause: float
    delay: float
    """Seconds between the submission before it and this one, of the same owner."""
    listened: bool
    doubled: bool
    """The submission is sent again after it was accepted."""

    @property
    def params(self) -> dict[str, object]:
        """The program's input."""
        return {"number": self.number, "count": self.count, "pause": self.pause, "kind": self.kind}

    @property
    def result(self) -> dict[str, object]:
        """What the program returns for it."""
        return {"number": self.number, "square": self.number**2, "published": self.count}


def faults(seed: int, count: int | None) -> list[Fault]:
    """Return the harm of a run; `count` None is the short form."""
    rng = random.Random(f"faults {seed}")
    if count is None:
        kinds = rng.sample(BRIEF, len(BRIEF))
    else:
        kinds = rng.choices(list(FAULTS), list(FAULTS.values()), k=count)
    return [Fault(kind=kind, pause=rng.uniform(0.2, 2.5), choice=rng.randrange(1 << 16)) for kind in kinds]


def work(seed: int, count: int, *, owners: int, seconds: float) -> list[Work]:
    """Return `count` jobs, spread over about `seconds`."""
    rng = random.Random(f"work {seed}")
    kinds: tuple[Kind, ...] = (*STEADY, "once", "failing", "cancelled", "cancelled", "silent", "silent")
    return [
        Work(
            number=number,
            owner=rng.randrange(owners),
            kind=rng.choice(kinds),
            count=rng.choice([1, 5, 20, 40]),
            pause=rng.choice([0.0, 0.01, 0.05, 0.1]),
            delay=rng.uniform(0, 2 * seconds * owners / count),
            listened=rng.random() < 0.5,
            doubled=rng.random() < 0.2,
        )
        for number in range(count)
    ]
