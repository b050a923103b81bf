"""What users do with programs: upload, look, change, delete, and find out what running one means."""

from qrt_contracts.commands import (
    AddVersion,
    CreateProgram,
    DeleteProgram,
    Done,
    GetProgram,
    ListPrograms,
    ProgramFound,
    ProgramPage,
    ResolveRun,
    RunResolved,
    UpdateProgram,
)
from qrt_contracts.faults import Conflict, InvalidRequest, NotFound, Unavailable
from qrt_contracts.values import Artifact, Program
from qrt_registry import domain
from qrt_registry.ports import Bundles, Clock, Inspector, ProgramStore

RACES = 5
"""How often a change is tried anew after another writer was faster."""


class Registry:
    """The use cases. Any replica can carry out any of them."""

    def __init__(
        self,
        *,
        programs: ProgramStore,
        bundles: Bundles,
        inspector: Inspector,
        clock: Clock,
        max_source_bytes: int,
    ) -> None:
        self._programs = programs
        self._bundles = bundles
        self._inspector = inspector
        self._clock = clock
        self._max_source_bytes = max_source_bytes

    async def create(self, command: CreateProgram) -> ProgramFound:
        """Create a program, if its source can be run; the same command again finds it created."""
        if found := await self._repeated(command):
            return found
        domain.check_kind(command.kind)
        if await self._programs.named(command.caller, command.name):
            raise domain.name_taken(command.name)
        await self._check(command.bundle)
        program = domain.created(command, now=self._clock())
        if await self._programs.insert(program):
            return ProgramFound(program=program)
        if found := await self._repeated(command):
            return found
        raise Conflict(f"the id {command.program_id} was used for another program")

    async def add_version(self, command: AddVersion) -> ProgramFound:
        """Give a program a new version; the bundle of the newest again changes nothing."""
        await self._own(command.caller, command.program_id)
        await self._check(command.bundle)
        for _ in range(RACES):
            program = await self._own(command.caller, command.program_id)
            version = domain.next_version(program, command.bundle, now=self._clock())
            if version is None:
                return ProgramFound(program=program)
            if await self._programs.add_version(program, version):
                return ProgramFound(
                    program=program.model_copy(update={"latest": version, "updated_at": version.created_at})
                )
        raise Unavailable(f"program {command.program_id} changes too fast just now; try again")

    async def update(self, command: UpdateProgram) -> ProgramFound:
        """Change what describes a program."""
        program = await self._own(command.caller, command.program_id)
        fields, now = domain.changes(program, command), self._clock()
        if fields and not await self._programs.change(program, fields, now=now):
            raise _unknown(command.program_id)
        return ProgramFound(program=await self._own(command.caller, command.program_id))

    async def delete(self, command: DeleteProgram) -> Done:
        """Forget a program. Its bundles stay: jobs run from their own copy of what they name."""
        program = await self._own(command.caller, command.program_id)
        if not await self._programs.delete(program):
            raise _unknown(command.program_id)
        return Done()

    async def get(self, command: GetProgram) -> ProgramFound:
        """Find a program, by id or by name among the caller's own."""
        program = await self._visible(command.caller, command.program_id, command.name)
        if not command.with_source:
            return ProgramFound(program=program)
        source = await self._bundles.read_all(program.latest.bundle.sha256, limit=self._max_source_bytes)
        return ProgramFound(program=program, source=source.decode())

    async def list(self, command: ListPrograms) -> ProgramPage:
        """List the caller's own programs, newest first."""
        found = await self._programs.page(command.caller, limit=command.limit + 1, before=command.cursor)
        page = found[: command.limit]
        return ProgramPage(
            programs=tuple(page),
            next_cursor=page[-1].id if len(found) > command.limit else None,
            total=await self._programs.count(command.caller),
        )

    async def resolve(self, command: ResolveRun) -> RunResolved:
        """Find what running a program now means."""
        program = await self._visible(command.caller, command.program_id, command.name)
        if command.version in (None, program.latest.number):
            return RunResolved(run=domain.run_spec(program, program.latest))
        version = await self._programs.version(program.id, command.version)
        if version is None:
            raise NotFound(
                f"program {program.name!r} has no version {command.version}; "
                f"its newest is {program.latest.number}",
                field="version",
            )
        return RunResolved(run=domain.run_spec(program, version))

    async def _repeated(self, command: CreateProgram) -> ProgramFound | None:
        program = await self._programs.get(command.program_id)
        return ProgramFound(program=program) if program and program.owner == command.caller else None

    async def _check(self, bundle: Artifact) -> None:
        if bundle.size > self._max_source_bytes:
            raise domain.refused(
                domain.Finding(
                    detail=f"the source has {bundle.size} bytes; the limit is {self._max_source_bytes}"
                )
            )
        source = await self._bundles.read_all(bundle.sha256, limit=self._max_source_bytes)
        if finding := await self._inspector.inspect(source):
            raise domain.refused(finding)

    async def _own(self, caller: str, program_id: str) -> Program:
        program = await self._programs.get(program_id)
        if program is None or program.owner != caller:
            raise _unknown(program_id)
        return program

    async def _visible(self, caller: str, program_id: str | None, name: str | None) -> Program:
        if (program_id is None) == (name is None):
            raise InvalidRequest("name a program either by id or by name")
        if program_id is None:
            program = await self._programs.named(caller, name or "")
            if program is None:
                raise NotFound(f"you have no program named {name!r}")
            return program
        program = await self._programs.get(program_id)
        if program is None or not domain.may_see(program, caller):
            raise _unknown(program_id)
        return program


def _unknown(program_id: str) -> NotFound:
    return NotFound(f"there is no program {program_id}, or it is not yours")
