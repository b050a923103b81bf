"""Orders of builds: when one is given, held back, given again. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from qrt_contracts.faults import Problem

SILENCE = timedelta(seconds=120)
"""A build of which nothing is heard for so long is ordered again; each further time after twice as long."""
LONGEST_SILENCE = timedelta(minutes=32)
NOBODY = timedelta(seconds=2)
"""How soon an order that no executor takes is given again."""
MAX_TRIES = 4
"""So often a build is ordered whose failures may pass."""
_FIRST_RETRY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBuild:
    """A version that must be built, until it is."""

    program_id: str
    version: int
    needs: str | None
    """What it shares with others: the digest of its requirements; None is nothing."""
    opened_at: datetime
    due_at: datetime
    """When to order it next."""
    orders: int = 0
    """How often it was ordered."""
    failures: int = 0
    """How often it ended with a problem that may pass."""

    @property
    def key(self) -> str:
        """Name of the version among all."""
        return build_key(self.program_id, self.version)

    def ordered(self, now: datetime) -> "OpenBuild":
        """Return it as it is once it was ordered."""
        return replace(self, orders=self.orders + 1, due_at=now + _silence(self.orders))

    def heard_of(self, now: datetime) -> "OpenBuild":
        """Return it as it is once somebody said that it is being built."""
        return replace(self, due_at=now + SILENCE)

    def anew(self, now: datetime) -> "OpenBuild":
        """Return it as it is to be ordered at once."""
        return replace(self, due_at=now)

    def not_taken(self, now: datetime) -> "OpenBuild":
        """Return it as it is once it turned out that nobody takes orders."""
        return replace(self, due_at=now + NOBODY)

    def failed(self, now: datetime) -> "OpenBuild":
        """Return it as it is after a failure that may pass."""
        pause = _FIRST_RETRY * 2.0**self.failures
        return replace(self, failures=self.failures + 1, due_at=now + pause)


def build_key(program_id: str, version: int) -> str:
    """Return the name of a version among all."""
    return f"{program_id}/{version}"


def _silence(orders: int) -> timedelta:
    return min(SILENCE * (1 << min(orders, 8)), LONGEST_SILENCE)


def may_pass(build: OpenBuild, problem: Problem) -> bool:
    """Tell whether a build that ended so is ordered again."""
    return problem.retryable and build.failures + 1 < MAX_TRIES


def to_order(
    open_builds: Collection[OpenBuild], *, now: datetime, locked: Collection[str]
) -> list[OpenBuild]:
    """Return the builds to order now, oldest first.

    Of those that need the same, one goes ahead of the others, which wait for its lock: what is equal is
    made once.

    Args:
        open_builds: all that there are.
        now: the present time.
        locked: the needs whose lock is known.
    """
    leading = {each.needs for each in open_builds if each.orders} - {None} - set(locked)
    chosen = []
    for each in sorted(open_builds, key=lambda build: (build.opened_at, build.key)):
        if each.due_at > now or (not each.orders and each.needs in leading):
            continue
        chosen.append(each)
        if each.needs is not None and each.needs not in locked:
            leading.add(each.needs)
    return chosen
