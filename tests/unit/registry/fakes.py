"""The registry's ports in memory."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from qrt_contracts.faults import NotFound
from qrt_contracts.values import Artifact, Payload, Program, ProgramKind, Version
from qrt_registry.domain import Finding, Project, name_taken

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
        found = (each for each in self.versions_of[program_id] if each.number == number)
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

    async def change(self, program: Program, fields: dict[str, Any], *, now: datetime) -> bool:
        if program.id not in self.programs:
            return False
        if "name" in fields:
            self._free(program.owner, fields["name"])
        self.programs[program.id] = program.model_copy(update=fields | {"updated_at": now})
        return True

    async def delete(self, program: Program) -> bool:
        return self.programs.pop(program.id, None) is not None

    async def page(self, owner: str, *, limit: int, before: str | None) -> list[Program]:
        mine = [each for each in self.programs.values() if each.owner == owner]
        mine = [each for each in mine if before is None or each.id < before]
        return sorted(mine, key=lambda each: each.id, reverse=True)[:limit]

    async def count(self, owner: str) -> int:
        return sum(each.owner == owner for each in self.programs.values())

    def _free(self, owner: str, name: str) -> None:
        if any((each.owner, each.name) == (owner, name) for each in self.programs.values()):
            raise name_taken(name)


class MemoryBundles:
    """The `Bundles` port."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def stored(self, data: bytes) -> Artifact:
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return Artifact(sha256=digest, size=len(data))

    async def put(self, data: bytes) -> Artifact:
        return self.stored(data)

    async def wrap(self, text: str) -> Payload:
        return Payload(text=text)

    async def read_all(self, sha256: str, *, limit: int) -> bytes:
        if sha256 not in self.blobs:
            raise NotFound(f"there is no artifact {sha256}")
        return self.blobs[sha256]


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
