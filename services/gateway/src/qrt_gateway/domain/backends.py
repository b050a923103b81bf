"""One view of the backends that several executors serve. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from qrt_contracts.events import Heartbeat
from qrt_contracts.values import BackendInfo


@dataclass(frozen=True, slots=True)
class Offer:
    """A backend, and how many executors serve it."""

    info: BackendInfo
    executors: int

    def nobodys(self) -> "Offer":
        """Return what is left of it when no executor serves it."""
        return replace(self, info=self.info.model_copy(update={"status": "offline", "queue": 0}), executors=0)


def together(beats: Iterable[Heartbeat]) -> list[Offer]:
    """Return each backend once, however many executors serve it."""
    found: dict[str, list[BackendInfo]] = {}
    for beat in beats:
        for info in beat.backends:
            found.setdefault(info.name, []).append(info)
    return [Offer(_merged(infos), len(infos)) for infos in found.values()]


def _merged(infos: list[BackendInfo]) -> BackendInfo:
    """Return one for all: online if any is; where each executor has its own, their queues add up."""
    online = [each for each in infos if each.status == "online"]
    best = max(online or infos, key=lambda each: each.qubits)
    queues = [each.queue for each in infos]
    return best.model_copy(update={"queue": sum(queues) if best.simulated else max(queues)})
