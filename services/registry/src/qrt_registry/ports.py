"""What the registry's use cases need from outside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from qrt_contracts.rights import ProgramScope
from qrt_contracts.values import Artifact, BuildState, Payload, Program, ProgramKind, Version
from qrt_registry.domain import Finding, Project
from qrt_registry.orders import OpenBuild

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFilter:
    """Which programs to list, and for whom."""

    scope: ProgramScope
    caller: str
    groups: tuple[str, ...]
    """Of the caller."""
    name: str | None = None


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

    async def replace_version(self, program_id: str, version: Version, *, believed: BuildState) -> bool:
        """Store a version in place of the one of its number, if its build is in the state `believed`."""

    async def change(self, program: Program, fields: dict[str, Any], *, now: datetime) -> bool:
        """Set fields of a program; False if it is gone. Raises: NameTaken."""

    async def delete(self, program: Program) -> bool:
        """Forget a program and its versions; False if it is gone."""

    async def page(self, which: ProgramFilter, *, limit: int, before: str | None) -> list[Program]:
        """Return up to `limit` programs, newest first, with ids below `before`."""

    async def count(self, which: ProgramFilter) -> int:
        """Return how many programs there are of a kind."""


class BuildStore(Protocol):
    """Where builds are kept that have not ended, and the logs of all."""

    async def open(self, build: OpenBuild) -> None:
        """Keep an open build; one of the same version stays as it is."""

    async def forget_log(self, key: str) -> None:
        """Forget a log."""

    async def get(self, program_id: str, version: int) -> OpenBuild | None:
        """Return the open build of a version."""

    async def all_open(self) -> list[OpenBuild]:
        """Return all open builds."""

    async def change(self, seen: OpenBuild, to: OpenBuild) -> bool:
        """Store an open build as `to`, if it still is as `seen`."""

    async def close(self, key: str) -> None:
        """Forget an open build."""

    async def forget(self, program_id: str) -> None:
        """Forget all builds of a program and their logs."""

    async def add_lines(self, key: str, *, program_id: str, first: int, lines: Sequence[str]) -> None:
        """Append lines to a log, those that it does not have; it is bounded and says where it ends."""

    async def lines(self, key: str, *, after: int) -> list[str]:
        """Return the lines of a log from `after` + 1 on."""

    async def keep_lock(self, needs: str, lock: Payload, *, at: datetime, worth: timedelta) -> None:
        """Keep the lock of a set of requirements; forget those older than `worth`."""

    async def lock(self, needs: str, *, since: datetime) -> Payload | None:
        """Return the lock of a set of requirements, if it was kept after `since`."""


class Bundles(Protocol):
    """Where uploads are kept, and what is made of them."""

    async def read_all(self, sha256: str, *, limit: int) -> bytes:
        """Return a bundle. Raises: NotFound, TooLarge."""

    async def put(self, data: bytes) -> Artifact:
        """Store a bundle, once for all that are equal."""

    async def keep(self, sha256: str) -> None:
        """Let a bundle that was uploaded stay for good."""


class Inspector(Protocol):
    """Judges uploads without running them."""

    async def inspect(self, source: bytes) -> Finding | None:
        """Return what is wrong with a source, None if nothing is. Raises: Unavailable."""

    async def project(self, archive: bytes, *, kind: ProgramKind | None) -> Project | Finding:
        """Return what a project is, or what is wrong with it. Raises: Unavailable.

        `kind` None is what the project says of itself.
        """
