"""The backends of one executor: its own, and, for owners with an account there, those of a cloud."""

from collections.abc import Callable, Mapping
from datetime import datetime
from weakref import WeakSet

from qrt_contracts.values import BackendInfo, Circuit, Confidential, RunSpec
from qrt_executor.ports import Backend, Cloud
from qrt_executor.service.circuits import Circuits
from qrt_executor.service.reach import Reach


class Backends:
    """Opens the circuits of attempts, and tells how things stand with each backend."""

    def __init__(self, own: Mapping[str, Backend], *, cloud: Cloud | None = None) -> None:
        self._own = own
        self._cloud = cloud
        self._open: WeakSet[Circuits] = WeakSet()

    def circuits(
        self,
        run: RunSpec,
        confidential: Confidential,
        *,
        record: Callable[[Circuit], None],
        remark: Callable[[str], None],
        clock: Callable[[], datetime],
    ) -> Circuits:
        """Return what answers the questions of one attempt's program. Its owner closes it."""
        cloud = self._cloud
        token = None if cloud is None else confidential.credentials.get(cloud.credential)
        reach = Reach(self._own, job_backend=run.backend, remark=remark, cloud=cloud, token=token)
        made = Circuits(reach, seed=run.seed, record=record, clock=clock)
        self._open.add(made)
        return made

    def told(self) -> tuple[BackendInfo, ...]:
        """Return each backend, with the circuits that wait for it."""
        own = tuple(self._with_queue(backend.info) for backend in self._own.values())
        return own if self._cloud is None else (*own, *self._cloud.known)

    def _with_queue(self, info: BackendInfo) -> BackendInfo:
        waiting = sum(each.waiting(info.name) for each in self._open)
        return info.model_copy(update={"queue": waiting}) if waiting else info
