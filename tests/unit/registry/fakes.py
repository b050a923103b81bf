"""The registry's ports in memory."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from qrt_chassis.bus.port import Undeliverable
from qrt_contracts.events import BuildVersion
from qrt_contracts.faults import NotFound
from qrt_contracts.rights import ProgramScope
from qrt_contracts.values import Artifact, BuildState, Payload, Program, ProgramKind, Version
from qrt_registry.domain import Finding, Project, name_taken
from qrt_registry.orders import OpenBuild, build_key
from qrt_registry.ports import ProgramFilter

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class MemoryPrograms:
    """The `ProgramStore` port. `before_add` lets a test be faster than the service."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self.versions_of: dict[str, list[Version]] = {}
        self.races: list[Version] = []

    async def insert(self, program: Program) -> bool:
        if program.id in self.programs:
            return False
        self._free(program.owner, program.name)
        self.programs[program.id] = program
        self.versions_of[program.id] = [program.latest]
        return True

    async def get(self, program_id: str) -> Program | None:
        return self.programs.get(program_id)

    async def named(self, owner: str, name: str) -> Program | None:
        found = (each for each in self.programs.values() if (each.owner, each.name) == (owner, name))
        return next(found, None)

    async def version(self, program_id: str, number: int) -> Version | None:
        found = (each for each in self.versions_of.get(program_id, []) if each.number == number)
        return next(found, None)

    async def versions(self, program_id: str, *, limit: int, below: int) -> list[Version]:
        found = [each for each in reversed(self.versions_of[program_id]) if each.number < below]
        return found[:limit]

    async def add_version(self, program: Program, version: Version) -> bool:
        if self.races:
            faster = self.races.pop()
            await self._add(program.id, faster)
        if self.programs[program.id].latest.number != program.latest.number:
            return False
        await self._add(program.id, version)
        return True

    async def _add(self, program_id: str, version: Version) -> None:
        self.versions_of[program_id].append(version)
        self.programs[program_id] = self.programs[program_id].model_copy(update={"latest": version})

    async def replace_version(self, program_id: str, version: Version, *, believed: BuildState) -> bool:
        numbered = self.versions_of.get(program_id, [])
        at = next((at for at, each in enumerate(numbered) if each.number == version.number), None)
        if at is None or numbered[at].build.state is not believed:
            return False
        numbered[at] = version
        if self.programs[program_id].latest.number == version.number:
            self.programs[program_id] = self.programs[program_id].model_copy(update={"latest": version})
        return True

    async def change(self, program: Program, fields: dict[str, Any], *, now: datetime) -> bool:
        if program.id not in self.programs:
            return False
        if "name" in fields:
            self._free(program.owner, fields["name"])
        self.programs[program.id] = program.model_copy(update=fields | {"updated_at": now})
        return True

    async def delete(self, program: Program) -> bool:
        return self.programs.pop(program.id, None) is not None

    async def page(self, which: ProgramFilter, *, limit: int, before: str | None) -> list[Program]:
        mine = [each for each in self._of(which) if before is None or each.id < before]
        return sorted(mine, key=lambda each: each.id, reverse=True)[:limit]

    async def count(self, which: ProgramFilter) -> int:
        return len(self._of(which))

    def _of(self, which: ProgramFilter) -> list[Program]:
        assert which.scope is ProgramScope.OWN
        return [each for each in self.programs.values() if each.owner == which.caller]

    def _free(self, owner: str, name: str) -> None:
        if any((each.owner, each.name) == (owner, name) for each in self.programs.values()):
            raise name_taken(name)


class MemoryBundles:
    """The `Bundles` port."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.kept: set[str] = set()

    def stored(self, data: bytes) -> Artifact:
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return Artifact(sha256=digest, size=len(data))

    async def put(self, data: bytes) -> Artifact:
        return self.stored(data)

    async def keep(self, sha256: str) -> None:
        self.kept.add(sha256)

    async def read_all(self, sha256: str, *, limit: int) -> bytes:
        if sha256 not in self.blobs:
            raise NotFound(f"there is no artifact {sha256}")
        return self.blobs[sha256]


class MemoryBuilds:
    """The `BuildStore` port."""

    def __init__(self) -> None:
        self.builds: dict[str, OpenBuild] = {}
        self.logs: dict[str, list[str]] = {}
        self.locks: dict[str, tuple[datetime, Payload]] = {}

    async def open(self, build: OpenBuild) -> None:
        self.builds.setdefault(build.key, build)

    async def forget_log(self, key: str) -> None:
        self.logs.pop(key, None)

    async def get(self, program_id: str, version: int) -> OpenBuild | None:
        return self.builds.get(build_key(program_id, version))

    async def all_open(self) -> list[OpenBuild]:
        return list(self.builds.values())

    async def change(self, seen: OpenBuild, to: OpenBuild) -> bool:
        if self.builds.get(seen.key) != seen:
            return False
        self.builds[seen.key] = to
        return True

    async def close(self, key: str) -> None:
        self.builds.pop(key, None)

    async def forget(self, program_id: str) -> None:
        for held in (self.builds, self.logs):
            for key in [each for each in held if each.startswith(f"{program_id}/")]:
                del held[key]

    async def add_lines(self, key: str, *, program_id: str, first: int, lines: Sequence[str]) -> None:
        held = self.logs.setdefault(key, [])
        held.extend(lines[max(0, len(held) + 1 - first) :])

    async def lines(self, key: str, *, after: int) -> list[str]:
        return self.logs.get(key, [])[after:]

    async def keep_lock(self, needs: str, lock: Payload, *, at: datetime, worth: timedelta) -> None:
        self.locks[needs] = (at, lock)

    async def lock(self, needs: str, *, since: datetime) -> Payload | None:
        at, lock = self.locks.get(needs, (since, None))
        return lock if at >= since else None


class Executors:
    """Takes orders of builds, as the bus does; `away`: nobody does."""

    def __init__(self) -> None:
        self.orders: list[BuildVersion] = []
        self.away = False

    async def publish(self, message: Any, *, mandatory: bool = False, **_: Any) -> None:
        assert mandatory
        if self.away:
            raise Undeliverable("nobody")
        self.orders.append(message)

    def ordered(self) -> list[str]:
        """Return which builds were ordered since this was last asked."""
        told = [f"{each.run.program_id[-1]}/{each.run.version}" for each in self.orders]
        self.orders.clear()
        return told


class ScriptedInspector:
    """The `Inspector` port: finds fault with uploads that contain `bad`."""

    def __init__(self) -> None:
        self.inspected = 0
        self.found = Project(kind=ProgramKind.TEMPLATE, canonical=b"canonical")

    async def inspect(self, source: bytes) -> Finding | None:
        self.inspected += 1
        return Finding(detail="it is bad", line=2, column=5, text="    bad") if b"bad" in source else None

    async def project(self, archive: bytes, *, kind: ProgramKind | None) -> Project | Finding:
        return await self.inspect(archive) or replace(self.found, kind=kind or self.found.kind)
