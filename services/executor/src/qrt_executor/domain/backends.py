"""Which backend a name means in a job. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

SIMULATOR = "simulator"
NOISE = frozenset({"bitflip", "dephasing", "depolarizing", "ampdamping", "decoherence"})
"""quafu's noise channels, by the names they have among a circuit's gates."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The backend that circuits go to, and what the job's log should say about it."""

    name: str
    warning: str | None = None


def choose(wanted: str, *, own: str | None, available: Collection[str]) -> Chosen | None:
    """Return the backend that `wanted` means, in upper or lower case; None if it means none.

    A job whose own backend is the simulator runs everything on it, also what names a device that is
    not here; a job that was meant for a device is not simulated behind its owner's back.
    """
    names = {each.casefold(): each for each in available}
    if found := names.get(wanted.casefold()):
        return Chosen(found)
    if (own or SIMULATOR).casefold() != SIMULATOR or SIMULATOR not in names:
        return None
    return Chosen(
        SIMULATOR, f"there is no backend {wanted[:64]!r} here: its circuits run on {SIMULATOR!r} instead"
    )
