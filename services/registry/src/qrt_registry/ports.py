"""What the registry's use cases need from outside."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from qrt_contracts.values import Artifact, Payload, Program, ProgramKind, Version
from qrt_registry.domain import Finding, Project

Clock = Callable[[], datetime]


class ProgramStore(Protocol):
    """Where programs and their versions are kept."""

    async def insert(self, program: Program) -> bool:
        """Store a new program; False if its id is taken. Raises: NameTaken."""

    async def get(self, program_id: str) -> Program | None:
        """Return a program."""

    async def named(self, owner: str, name: str) -> Program | None:
        """Return the program an owner has under `name`."""

    async def version(self, program_id: str, number: int) -> Version | None:
        """Return one version of a program."""

    async def versions(self, program_id: str, *, limit: int, below: int) -> list[Version]:
        """Return up to `limit` versions of a program with numbers under `below`, newest first."""

    async def add_version(self, program: Program, version: Version) -> bool:
        """Store a version as the newest, if the newest still is that of `program`."""

    async def change(self, program: Program, fields: dict[str, Any], *, now: datetime) -> bool:
        """Set fields of a program; False if it is gone. Raises: NameTaken."""

    async def delete(self, program: Program) -> bool:
        """Forget a program and its versions; False if it is gone."""

    async def page(self, owner: str, *, limit: int, before: str | None) -> list[Program]:
        """Return up to `limit` programs of an owner, newest first, with ids below `before`."""

    async def count(self, owner: str) -> int:
        """Return how many programs an owner has."""


class Bundles(Protocol):
    """Where uploads are kept, and what is made of them."""

    async def read_all(self, sha256: str, *, limit: int) -> bytes:
        """Return a bundle. Raises: NotFound, TooLarge."""

    async def put(self, data: bytes) -> Artifact:
        """Store a bundle, once for all that are equal."""

    async def wrap(self, text: str) -> Payload:
        """Return a payload that holds `text`, storing it apart if it is large."""


class Inspector(Protocol):
    """Judges uploads without running them."""

    async def inspect(self, source: bytes) -> Finding | None:
        """Return what is wrong with a source, None if nothing is. Raises: Unavailable."""

    async def project(self, archive: bytes, *, kind: ProgramKind | None) -> Project | Finding:
        """Return what a project is, or what is wrong with it. Raises: Unavailable.

        `kind` None is what the project says of itself.
        """
