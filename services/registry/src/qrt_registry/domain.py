"""What a program is to its owner and to others, and how its versions follow one another. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from qrt_contracts.commands import CreateProgram, UpdateProgram
from qrt_contracts.faults import Conflict, FieldError, NameTaken, ProgramInvalid
from qrt_contracts.values import Artifact, Limits, Program, ProgramKind, RunSpec, Version, Visibility

MAX_VERSIONS = 10_000
"""Versions of one program: they share a document, which is bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong with a source; `line` and `column` count from 1, 0 is nowhere in particular."""

    detail: str
    line: int = 0
    column: int = 0
    text: str = ""
    """The source line at fault."""

    def sentence(self) -> str:
        """Return the finding as one text for people: what, where, and the line itself."""
        if not self.line:
            return self.detail
        where = f"line {self.line}" + (f", column {self.column}" if self.column else "")
        quoted = f":\n    {self.text.strip()}" if self.text.strip() else ""
        return f"{self.detail} ({where}){quoted}"


def refused(finding: Finding) -> ProgramInvalid:
    """Return the fault that tells an owner why a source is not accepted."""
    sentence = finding.sentence()
    return ProgramInvalid(sentence, field="source", errors=(FieldError(pointer="/source", detail=sentence),))


def check_kind(kind: ProgramKind | None) -> None:
    """Return if programs of a kind can be uploaded. Raises ProgramInvalid."""
    if kind is not ProgramKind.QUAFU:
        detail = f"programs of kind {kind.value if kind else 'template'!r} cannot be uploaded to this release"
        raise ProgramInvalid(detail, field="kind", errors=(FieldError(pointer="/kind", detail=detail),))


def name_taken(name: str) -> NameTaken:
    """Return the fault that tells an owner of a program of the same name."""
    return NameTaken(f"you have a program named {name!r} already", field="name")


def created(command: CreateProgram, *, now: datetime) -> Program:
    """Return the program that a command asks for, with its first version."""
    return Program(
        id=command.program_id,
        owner=command.caller,
        name=command.name,
        kind=command.kind,
        visibility=command.visibility,
        description=command.description,
        backend=command.backend,
        group=command.group,
        cost=command.cost,
        limits=command.limits,
        max_attempts=command.max_attempts,
        quota=command.quota,
        latest=Version(number=1, bundle=command.bundle, created_at=now),
        created_at=now,
        updated_at=now,
    )


def next_version(program: Program, bundle: Artifact, *, now: datetime) -> Version | None:
    """Return the version that `bundle` makes, None if the newest one has it already.

    Raises:
        Conflict: the program has as many versions as it may.
    """
    if program.latest.bundle.sha256 == bundle.sha256:
        return None
    if program.latest.number >= MAX_VERSIONS:
        raise Conflict(f"a program can have {MAX_VERSIONS} versions; create another program")
    return Version(number=program.latest.number + 1, bundle=bundle, created_at=now)


def changes(program: Program, command: UpdateProgram) -> dict[str, Any]:
    """Return the fields of `program` that a command sets to something else; None asks for nothing."""
    wanted = {
        name: getattr(command, name)
        for name in UpdateProgram.model_fields
        if name not in ("caller", "program_id") and getattr(command, name) is not None
    }
    return {name: value for name, value in wanted.items() if getattr(program, name) != value}


def may_see(program: Program, caller: str) -> bool:
    """Tell whether `caller` may look at a program and run it."""
    return program.owner == caller or program.visibility is Visibility.PUBLIC


def run_spec(program: Program, version: Version) -> RunSpec:
    """Return what running this version of a program means now."""
    return RunSpec(
        program_id=program.id,
        program_name=program.name,
        version=version.number,
        kind=program.kind,
        bundle=version.bundle,
        backend=program.backend,
        limits=program.limits.over(Limits()),
        max_attempts=program.max_attempts,
        quota=program.quota,
    )
