"""What a program is to its owner and to others, and how its versions follow one another. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from qrt_contracts.commands import CreateProgram, UpdateProgram, VersionSummary
from qrt_contracts.events import VersionBuilt
from qrt_contracts.faults import (
    Conflict,
    FieldError,
    InvalidRequest,
    NameTaken,
    Problem,
    ProgramInvalid,
)
from qrt_contracts.rights import Rights
from qrt_contracts.values import (
    Artifact,
    Build,
    BuildState,
    EnvironmentSpec,
    Limits,
    Payload,
    Program,
    ProgramKind,
    Resources,
    RunSpec,
    Version,
    Visibility,
)

MAX_VERSIONS = 1_000
"""Versions of one program: they share a document, which is bounded."""


MAX_DETAIL = 4_000
"""Characters of a build's problem that a version keeps; the build's log has the rest."""

NO_RESOURCES = Resources()
"""What a program asks for that asks for nothing in particular."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong with a source; `line` and `column` count from 1, 0 is nowhere in particular."""

    detail: str
    file: str = ""
    """Which file of a project."""
    line: int = 0
    column: int = 0
    text: str = ""
    """The source line at fault."""

    def sentence(self) -> str:
        """Return the finding as one text for people: what, where, and the line itself."""
        detail = f"{self.file}: {self.detail}" if self.file else self.detail
        if not self.line:
            return detail
        where = f"line {self.line}" + (f", column {self.column}" if self.column else "")
        quoted = f":\n    {self.text.strip()}" if self.text.strip() else ""
        return f"{detail} ({where}){quoted}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What an uploaded project is, once it has been judged."""

    kind: ProgramKind
    canonical: bytes
    """Its files as the one zip that they make."""
    name: str | None = None
    description: str | None = None
    resources: Resources = NO_RESOURCES
    requirements: tuple[str, ...] = ()
    signature: str | None = None
    """A `Signature`, as JSON: what the source alone tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a version will hold: an accepted upload, stored."""

    kind: ProgramKind
    bundle: Artifact
    image: str | None = None
    environment: EnvironmentSpec | None = None
    resources: Resources = NO_RESOURCES
    signature: Payload | None = None
    name: str | None = None
    description: str | None = None

    def version(self, number: int, *, now: datetime) -> Version:
        """Return the version that holds this."""
        return Version(
            number=number,
            bundle=self.bundle,
            created_at=now,
            build=Build(state=BuildState.READY if self.kind is ProgramKind.QUAFU else BuildState.BUILDING),
            environment=self.environment,
            image=self.image,
            resources=self.resources,
            signature=self.signature,
        )

    def is_of(self, version: Version) -> bool:
        """Tell whether a version holds the same."""
        return (version.bundle.sha256, version.image) == (self.bundle.sha256, self.image)


def refused(finding: Finding) -> ProgramInvalid:
    """Return the fault that tells an owner why a source is not accepted."""
    return _refused(finding.sentence(), "source")


def project_refused(finding: Finding) -> ProgramInvalid:
    """Return the fault that tells an owner why a project is not accepted."""
    return _refused(finding.sentence(), "bundle")


def image_refused(detail: str) -> ProgramInvalid:
    """Return the fault that tells an owner why the name of an image is not accepted."""
    return _refused(detail, "image")


def name_missing() -> ProgramInvalid:
    """Return the fault that tells an owner that a program has no name."""
    return _refused("the program has no name: give one, or write one into the project's planqk.json", "name")


def _refused(detail: str, field: str) -> ProgramInvalid:
    return ProgramInvalid(detail, field=field, errors=(FieldError(pointer=f"/{field}", detail=detail),))


def name_taken(name: str) -> NameTaken:
    """Return the fault that tells an owner of a program of the same name."""
    return NameTaken(f"you have a program named {name!r} already", field="name")


def created(command: CreateProgram, name: str, content: Content, *, now: datetime) -> Program:
    """Return the program that a command asks for, with its first version. Raises: InvalidRequest."""
    return Program(
        id=command.program_id,
        owner=command.caller,
        name=name,
        kind=content.kind,
        visibility=command.visibility,
        groups=audience(command.visibility, command.groups, command.rights),
        description=content.description if command.description is None else command.description,
        backend=command.backend,
        group=command.group,
        cost=command.cost,
        limits=command.limits,
        max_attempts=command.max_attempts,
        quota=command.quota,
        latest=content.version(1, now=now),
        created_at=now,
        updated_at=now,
    )


def next_version(program: Program, content: Content, *, now: datetime) -> Version | None:
    """Return the version that an upload makes, None if the newest one is the same already.

    Raises:
        Conflict: the program has as many versions as it may.
    """
    if content.is_of(program.latest):
        return None
    if program.latest.number >= MAX_VERSIONS:
        raise Conflict(f"a program can have {MAX_VERSIONS} versions; create another program")
    return content.version(program.latest.number + 1, now=now)


def rebuilt(program: Program, content: Content) -> Version | None:
    """Return the newest version with its build begun anew, if it is the same as an upload and has failed."""
    newest = program.latest
    if not content.is_of(newest) or newest.build.state is not BuildState.FAILED:
        return None
    return newest.model_copy(update={"build": Build(state=BuildState.BUILDING)})


def built(version: Version, end: VersionBuilt, *, lock: Payload | None, signature: Payload | None) -> Version:
    """Return a version as it is once its build has ended; `lock` and `signature` are those of the end."""
    state = BuildState.READY if end.problem is None else BuildState.FAILED
    build = Build(
        state=state, problem=_shortened(end.problem), started_at=end.started_at, ended_at=end.ended_at
    )
    environment = version.environment
    if environment is not None and lock is not None and end.problem is None:
        environment = environment.model_copy(update={"lock": lock})
    return version.model_copy(
        update={
            "build": build,
            "environment": environment,
            "signature": signature or version.signature,
            "built_image": end.image or version.built_image,
        }
    )


def _shortened(problem: Problem | None) -> Problem | None:
    if problem is None or len(problem.detail) <= MAX_DETAIL:
        return problem
    return problem.model_copy(update={"detail": problem.detail[:MAX_DETAIL] + "…"})


def changes(program: Program, command: UpdateProgram) -> dict[str, Any]:
    """Return the fields of `program` that a command sets to something else; None asks for nothing.

    Raises:
        InvalidRequest: its groups are not what its visibility asks for, or not the caller's.
    """
    wanted = {
        name: getattr(command, name)
        for name in UpdateProgram.model_fields
        if name not in ("caller", "rights", "program_id") and getattr(command, name) is not None
    }
    if command.groups is not None or command.visibility not in (None, program.visibility):
        visibility = command.visibility or program.visibility
        wanted["groups"] = audience(visibility, command.groups or (), command.rights)
    return {name: value for name, value in wanted.items() if getattr(program, name) != value}


def audience(visibility: Visibility, groups: tuple[str, ...], rights: Rights) -> tuple[str, ...]:
    """Return the groups that a program of a visibility is shared with, sorted.

    Raises:
        InvalidRequest: there are none, or some that this visibility has no use for, or that the caller
            is not in.
    """
    if visibility is Visibility.GROUP and not groups:
        raise InvalidRequest("the visibility group needs groups: name at least one", field="groups")
    if visibility is not Visibility.GROUP and groups:
        raise InvalidRequest(
            f"groups go with the visibility group; this program's is {visibility.value}", field="groups"
        )
    if not rights.all and (foreign := sorted(set(groups) - set(rights.groups))):
        raise InvalidRequest(f"you are not in the group {foreign[0]!r}", field="groups")
    return tuple(sorted(set(groups)))


def may_see(program: Program, caller: str, rights: Rights) -> bool:
    """Tell whether `caller` may look at a program and run it."""
    if may_change(program, caller, rights) or program.visibility is Visibility.PUBLIC:
        return True
    return program.visibility is Visibility.GROUP and not set(program.groups).isdisjoint(rights.groups)


def may_change(program: Program, caller: str, rights: Rights) -> bool:
    """Tell whether `caller` may change a program and delete it."""
    return rights.all or program.owner == caller


def summary(program: Program, version: Version) -> VersionSummary:
    """Return a version as a list shows it."""
    return VersionSummary(
        number=version.number,
        kind=program.kind,
        bundle=version.bundle,
        created_at=version.created_at,
        build=version.build,
        image=version.image,
        built_image=version.built_image,
        resources=version.resources,
    )


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
        environment=version.environment,
        image=_image(version),
        resources=version.resources,
    )


def _image(version: Version) -> str | None:
    """Return what an engine pulls: a tag may come to stand for something else, a version does not."""
    known = version.built_image
    return known if version.image and known and "@" in known else version.image
