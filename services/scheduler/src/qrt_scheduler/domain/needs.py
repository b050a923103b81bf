"""What a job needs of the executor that runs it, and whether any executor has that."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from qrt_contracts.events import Heartbeat
from qrt_contracts.message import Value
from qrt_contracts.values import ProgramKind, Resources


@dataclass(frozen=True, slots=True)
class Needs:
    """A kind of program and what it declares; what it does not declare it takes as it comes."""

    kind: ProgramKind = ProgramKind.QUAFU
    cpus: float = 0.0
    memory_bytes: int = 0
    gpus: int = 0
    gpu_type: str | None = None

    @property
    def declared(self) -> bool:
        """It takes a counted part of its executor."""
        return bool(self.cpus or self.memory_bytes or self.gpus)

    @classmethod
    def of(cls, kind: ProgramKind, resources: Resources) -> Self:
        """Return what a program of a kind with these resources needs."""
        gpu_type = resources.gpu_type if resources.gpus else None
        return cls(kind, resources.cpus or 0.0, resources.memory_bytes or 0, resources.gpus, gpu_type)


UNDEMANDING = Needs()
"""Of a program that declares nothing."""


class Ability(Value):
    """What an executor can run, by what it says of itself; None is as much as anybody asks for."""

    kinds: tuple[ProgramKind, ...]
    cpus: float | None = None
    memory_bytes: int | None = None
    gpus: int = 0
    gpu_type: str | None = None

    @classmethod
    def told_by(cls, beat: Heartbeat) -> Self:
        """Return what a heartbeat says."""
        return cls(
            kinds=beat.kinds,
            cpus=beat.cpus,
            memory_bytes=beat.memory_bytes,
            gpus=beat.gpus,
            gpu_type=beat.gpu_type,
        )

    def suffices(self, needs: Needs) -> bool:
        """Whether an executor with all this free can run a job with these needs."""
        return (
            needs.kind in self.kinds
            and (self.cpus is None or needs.cpus <= self.cpus)
            and (self.memory_bytes is None or needs.memory_bytes <= self.memory_bytes)
            and needs.gpus <= self.gpus
            and (needs.gpu_type is None or _same(needs.gpu_type, self.gpu_type))
        )

    def without(self, held: Iterable[Needs]) -> Self:
        """Return what is left of it beside jobs with these needs."""
        cpus, memory, gpus = 0.0, 0, 0
        for each in held:
            cpus, memory, gpus = cpus + each.cpus, memory + each.memory_bytes, gpus + each.gpus
        if not (cpus or memory or gpus):
            return self
        left = {
            "cpus": None if self.cpus is None else self.cpus - cpus,
            "memory_bytes": None if self.memory_bytes is None else self.memory_bytes - memory,
            "gpus": self.gpus - gpus,
        }
        return self.model_copy(update=left)


def _same(wanted: str, had: str | None) -> bool:
    return had is not None and wanted.casefold() == had.casefold()


def why_not(needs: Needs, abilities: Collection[Ability]) -> str | None:
    """Return what all executors lack for a job, None if one has it all. `abilities` are of at least one."""
    if any(each.suffices(needs) for each in abilities):
        return None
    fit = [each for each in abilities if needs.kind in each.kinds]
    if not fit:
        return f"no executor runs programs of kind {needs.kind}{_HINTS.get(needs.kind, '')}"
    lacks = [
        *_short("processors", needs.cpus, [each.cpus for each in fit]),
        *_short("bytes of memory", needs.memory_bytes, [each.memory_bytes for each in fit]),
        *_short("GPUs", needs.gpus, [each.gpus for each in fit]),
    ]
    if needs.gpu_type and not any(_same(needs.gpu_type, each.gpu_type) for each in fit):
        lacks.append(f"a GPU of type {needs.gpu_type}, and there is none")
    if not lacks:
        lacks = ["more processors, memory and GPUs together than any executor has"]
    return f"its program asks for {'; for '.join(lacks)} (executors for programs of kind {needs.kind})"


_HINTS = {ProgramKind.CONTAINER: ": none has a container engine that answers"}


def _short(what: str, wanted: float, had: Sequence[float | None]) -> list[str]:
    known = [each for each in had if each is not None]
    if len(known) < len(had) or wanted <= max(known):
        return []
    return [f"{wanted:.12g} {what}, and no executor has more than {max(known):.12g}"]
