"""Which backends one attempt can reach, and which of them a name means."""

from collections.abc import Callable, Mapping

from qrt_executor.domain.backends import choose
from qrt_executor.ports import Backend, CircuitRefused, Cloud

MAX_WARNED = 1000


class Reach:
    """The executor's own backends and, if the job carries its owner's token, those of the cloud."""

    def __init__(
        self,
        own: Mapping[str, Backend],
        *,
        job_backend: str | None,
        remark: Callable[[str], None],
        cloud: Cloud | None = None,
        token: str | None = None,
    ) -> None:
        self._own = own
        self._job_backend = job_backend
        self._remark = remark
        self._cloud = cloud
        self._token = token
        self._devices: Mapping[str, Backend] | None = None
        self._warned: set[str] = set()

    async def find(self, wanted: str) -> Backend:
        """Return the backend that a program means. Raises CircuitRefused."""
        for name, backend in self._own.items():
            if name.casefold() == wanted.casefold():
                return backend
        backends = {**await self._cloud_devices(), **self._own}
        chosen = choose(wanted, own=self._job_backend, available=backends.keys())
        if chosen is None:
            raise self._unknown(wanted, backends)
        if chosen.warning and wanted not in self._warned and len(self._warned) < MAX_WARNED:
            self._warned.add(wanted)
            self._remark(chosen.warning + (f"; {_HINT}" if self._needs_token(wanted) else ""))
        return backends[chosen.name]

    async def _cloud_devices(self) -> Mapping[str, Backend]:
        if self._cloud is None or self._token is None:
            return {}
        if self._devices is None:
            self._devices = await self._cloud.backends(self._token)
        return self._devices

    def _unknown(self, wanted: str, backends: Mapping[str, Backend]) -> CircuitRefused:
        names = ", ".join(sorted(backends)) or "none"
        said = f"there is no backend {wanted[:64]!r} here; there is: {names}"
        if self._needs_token(wanted):
            return CircuitRefused("no_token", f"{said}; {_HINT}")
        return CircuitRefused("user", said)

    def _needs_token(self, wanted: str) -> bool:
        """Tell whether a token would help: it is a cloud's device, or might be one."""
        if self._cloud is None or self._token is not None:
            return False
        known = {each.name.casefold() for each in self._cloud.known}
        return not known or wanted.casefold() in known


_HINT = "devices of the Quafu cloud need your Quafu token, kept with PUT /v1/account/credentials/quafu"
