"""What users do with programs: upload, look, change, delete, and find out what running one means."""

from qrt_contracts.commands import (
    AddVersion,
    BuildLogPage,
    CreateProgram,
    DeleteProgram,
    Done,
    GetProgram,
    ListPrograms,
    ListVersions,
    ProgramFound,
    ProgramPage,
    ReadBuildLog,
    ResolveRun,
    RunResolved,
    UpdateProgram,
    VersionPage,
)
from qrt_contracts.faults import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable
from qrt_contracts.rights import ProgramScope
from qrt_contracts.values import BuildState, Program, ProgramKind, Version
from qrt_registry import domain
from qrt_registry.builds import Builds
from qrt_registry.domain import MAX_VERSIONS, Content
from qrt_registry.intake import Intake
from qrt_registry.ports import Bundles, Clock, ProgramFilter, ProgramStore

_OfProgram = (
    AddVersion | UpdateProgram | DeleteProgram | GetProgram | ListVersions | ReadBuildLog | ResolveRun
)

RACES = 5
"""How often a change is tried anew after another writer was faster."""


class Registry:
    """The use cases. Any replica can carry out any of them."""

    def __init__(
        self,
        *,
        programs: ProgramStore,
        bundles: Bundles,
        intake: Intake,
        builds: Builds,
        clock: Clock,
        max_source_bytes: int,
    ) -> None:
        self._programs = programs
        self._bundles = bundles
        self._intake = intake
        self._builds = builds
        self._clock = clock
        self._max_source_bytes = max_source_bytes

    async def create(self, command: CreateProgram) -> ProgramFound:
        """Create a program, if what was uploaded can be run; the same command again finds it created."""
        if found := await self._repeated(command):
            return found
        if command.name and await self._programs.named(command.caller, command.name):
            raise domain.name_taken(command.name)
        content = await self._intake.accept(command.bundle, kind=command.kind, image=command.image)
        name = command.name or content.name
        if name is None:
            raise domain.name_missing()
        program = domain.created(command, name, content, now=self._clock())
        await self._builds.open(program.id, program.latest, kind=program.kind)
        if await self._programs.insert(program):
            await self._bundles.keep(program.latest.bundle.sha256)
            self._builds.look()
            return ProgramFound(program=program)
        if found := await self._repeated(command):
            return found
        raise Conflict(f"the id {command.program_id} was used for another program")

    async def add_version(self, command: AddVersion) -> ProgramFound:
        """Give a program a new version; the bundle of the newest again changes nothing."""
        program = await self._own(command)
        content = await self._intake.accept(command.bundle, kind=program.kind, image=command.image)
        for _ in range(RACES):
            program = await self._own(command)
            version = domain.next_version(program, content, now=self._clock())
            if version is None:
                return await self._rebuilt(program, content)
            await self._builds.open(program.id, version, kind=program.kind)
            if await self._programs.add_version(program, version):
                await self._bundles.keep(version.bundle.sha256)
                self._builds.look()
                return ProgramFound(
                    program=program.model_copy(update={"latest": version, "updated_at": version.created_at})
                )
        raise Unavailable(f"program {command.program_id} changes too fast just now; try again")

    async def _rebuilt(self, program: Program, content: Content) -> ProgramFound:
        """Build the newest version again if it failed: what was missing may be there by now."""
        version = domain.rebuilt(program, content)
        if version is None:
            return ProgramFound(program=program)
        await self._builds.open_again(program.id, version, kind=program.kind)
        await self._programs.replace_version(program.id, version, believed=BuildState.FAILED)
        self._builds.look()
        return ProgramFound(program=program.model_copy(update={"latest": version}))

    async def update(self, command: UpdateProgram) -> ProgramFound:
        """Change what describes a program."""
        program = await self._own(command)
        fields, now = domain.changes(program, command), self._clock()
        if fields and not await self._programs.change(program, fields, now=now):
            raise _unknown(command.program_id)
        return ProgramFound(program=await self._own(command))

    async def delete(self, command: DeleteProgram) -> Done:
        """Forget a program. Its bundles stay: jobs run from their own copy of what they name."""
        program = await self._own(command)
        if not await self._programs.delete(program):
            raise _unknown(command.program_id)
        await self._builds.forget(program.id)
        return Done()

    async def get(self, command: GetProgram) -> ProgramFound:
        """Find a program, by id or by name among the caller's own."""
        program = await self._visible(command, command.name)
        if not command.with_source or program.kind is not ProgramKind.QUAFU:
            return ProgramFound(program=program)
        source = await self._bundles.read_all(program.latest.bundle.sha256, limit=self._max_source_bytes)
        return ProgramFound(program=program, source=source.decode())

    async def list(self, command: ListPrograms) -> ProgramPage:
        """List the caller's own programs, or those of a scope, newest first."""
        if command.scope is ProgramScope.ALL and not command.rights.all:
            raise Forbidden("only administrators list everybody's programs")
        which = ProgramFilter(
            scope=command.scope, caller=command.caller, groups=command.rights.groups, name=command.name
        )
        found = await self._programs.page(which, limit=command.limit + 1, before=command.cursor)
        page = found[: command.limit]
        return ProgramPage(
            programs=tuple(page),
            next_cursor=page[-1].id if len(found) > command.limit else None,
            total=await self._programs.count(which),
        )

    async def list_versions(self, command: ListVersions) -> VersionPage:
        """List the versions of a program that the caller may see, newest first."""
        program = await self._visible(command)
        below = min(int(command.cursor or MAX_VERSIONS + 1), program.latest.number + 1)
        found = await self._programs.versions(program.id, limit=command.limit + 1, below=below)
        page = found[: command.limit]
        return VersionPage(
            versions=tuple(domain.summary(program, each) for each in page),
            next_cursor=str(page[-1].number) if len(found) > command.limit else None,
            total=program.latest.number,
        )

    async def read_build_log(self, command: ReadBuildLog) -> BuildLogPage:
        """Read the log of a version's build, by whoever may see the program's source."""
        program = await self._visible(command)
        number = command.version or program.latest.number
        if number > program.latest.number:
            raise _no_version(program, number)
        return await self._builds.read(
            program.id, number, after=command.after, wait_seconds=command.wait_seconds
        )

    async def resolve(self, command: ResolveRun) -> RunResolved:
        """Find what running a program now means."""
        program = await self._visible(command, command.name)
        if command.version in (None, program.latest.number):
            return _resolved(program, program.latest)
        version = await self._programs.version(program.id, command.version)
        if version is None:
            raise _no_version(program, command.version)
        return _resolved(program, version)

    async def _repeated(self, command: CreateProgram) -> ProgramFound | None:
        program = await self._programs.get(command.program_id)
        return ProgramFound(program=program) if program and program.owner == command.caller else None

    async def _own(self, command: AddVersion | UpdateProgram | DeleteProgram) -> Program:
        """Return a program that the caller may change. Raises: NotFound, Forbidden."""
        program = await self._visible(command)
        if not domain.may_change(program, command.caller, command.rights):
            raise Forbidden(f"the program {program.name!r} is not yours: you may look at it and run it")
        return program

    async def _visible(self, command: _OfProgram, name: str | None = None) -> Program:
        if (command.program_id is None) == (name is None):
            raise InvalidRequest("name a program either by id or by name")
        if command.program_id is None:
            program = await self._programs.named(command.caller, name or "")
            if program is None:
                raise NotFound(f"you have no program named {name!r}")
            return program
        program = await self._programs.get(command.program_id)
        if program is None or not domain.may_see(program, command.caller, command.rights):
            raise _unknown(command.program_id)
        return program


def _resolved(program: Program, version: Version) -> RunResolved:
    return RunResolved(run=domain.run_spec(program, version), signature=version.signature)


def _no_version(program: Program, number: int | None) -> NotFound:
    return NotFound(
        f"program {program.name!r} has no version {number}; its newest is {program.latest.number}",
        field="version",
    )


def _unknown(program_id: str) -> NotFound:
    return NotFound(f"there is no program {program_id}, or it is not yours")
