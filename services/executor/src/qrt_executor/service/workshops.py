"""Which workshop serves each kind of program here."""

from collections.abc import Mapping

from qrt_contracts.values import Isolation, ProgramKind
from qrt_executor.ports import SandboxUnavailable, Workshop


class Workshops:
    """The executor's workshops by the kind of program; the first is the one its level is told of."""

    def __init__(self, by_kind: Mapping[ProgramKind, Workshop]) -> None:
        self._by_kind = by_kind

    def of(self, kind: ProgramKind) -> Workshop:
        """Return the workshop of a kind. Raises SandboxUnavailable where such programs do not run."""
        found = self._by_kind.get(kind)
        if found is None:
            raise SandboxUnavailable(f"the executor runs no programs of kind {kind}")
        return found

    @property
    def tried(self) -> bool:
        """It is known of each whether it can be used."""
        return all(workshop.tried for workshop in self._by_kind.values())

    @property
    def kinds(self) -> tuple[ProgramKind, ...]:
        """Programs that can be run now."""
        return tuple(kind for kind, workshop in self._by_kind.items() if workshop.ready)

    @property
    def isolation(self) -> Isolation:
        """The level of the first one."""
        return next(iter(self._by_kind.values())).isolation

    def level(self, kind: ProgramKind) -> Isolation:
        """Return the level at which programs of a kind run, or would."""
        found = self._by_kind.get(kind)
        return self.isolation if found is None else found.isolation
