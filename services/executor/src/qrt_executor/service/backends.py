"""The backends of one executor: its own, and, for owners with an account there, those of a cloud."""

from collections.abc import Callable, Mapping
from datetime import datetime
from weakref import WeakSet

from qrt_contracts.values import BackendInfo, Circuit, RunSpec
from qrt_executor.ports import Backend
from qrt_executor.service.circuits import Circuits


class Backends:
    """Opens the circuits of attempts, and tells how things stand with each backend."""

    def __init__(self, own: Mapping[str, Backend]) -> None:
        self._own = own
        self._open: WeakSet[Circuits] = WeakSet()

    def circuits(
        self,
        run: RunSpec,
        *,
        record: Callable[[Circuit], None],
        remark: Callable[[str], None],
        clock: Callable[[], datetime],
    ) -> Circuits:
        """Return what answers the questions of one attempt's program. Its owner closes it."""
        made = Circuits(self._own, own=run.backend, seed=run.seed, record=record, remark=remark, clock=clock)
        self._open.add(made)
        return made

    def told(self) -> tuple[BackendInfo, ...]:
        """Return each backend with the circuits that wait for it here."""
        return tuple(self._with_queue(backend.info) for backend in self._own.values())

    def _with_queue(self, info: BackendInfo) -> BackendInfo:
        waiting = sum(each.waiting(info.name) for each in self._open)
        return info.model_copy(update={"queue": info.queue + waiting}) if waiting else info
