"""A program with its versions and their builds, blocking."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, overload

from qrt_contracts.api_programs import ProgramView, VersionView
from quafu_runtime import _calls
from quafu_runtime._client import Client
from quafu_runtime._program import RuntimeProgram, facts, outcome
from quafu_runtime._project import archive_of
from quafu_runtime._waiting import Waiting
from quafu_runtime.errors import BuildTimeout


@dataclass(frozen=True, eq=False, kw_only=True)
class Program(RuntimeProgram):
    """One of your programs, or somebody's public one."""

    _client: Client = field(repr=False)

    @classmethod
    def bound(cls, view: ProgramView, client: Client, *, data: str | None = None) -> "Program":
        """Return the program that the runtime describes."""
        return cls(**facts(view, data=data), _client=client)

    def versions(self) -> list[VersionView]:
        """Return all versions, newest first, each with the state of its build.

        Raises:
            ProgramNotFound.
        """
        return versions_of(self.program_id, self._client)

    def add_version(self, project: str | os.PathLike[str]) -> "Program":
        """Upload a folder or an archive as a new version; return the program with it.

        What the newest version holds already makes no other.

        Raises:
            ProgramNotFound, ProgramInvalid, InvalidRequest, TooLarge.
        """
        view = self._client.send(_calls.add_project(self.program_id, archive_of(project)))
        return Program.bound(view, self._client)

    def wait_for_build(self, timeout: float | None = None, *, version: int | None = None) -> VersionView:
        """Wait until the build of this version, or of another one, has ended; return the version.

        Raises:
            BuildFailed: it has failed; the error says why.
            BuildTimeout: it still goes on after `timeout` seconds; waiting again is fine.
            ProgramNotFound.
        """
        number = self.version if version is None else version
        waiting = Waiting(timeout, now=time.monotonic())
        while (wait := waiting.ask(now=time.monotonic())) is not None:
            found = self._client.send(_calls.get_version(self.program_id, number, wait=wait))
            if outcome(self.program_id, found):
                return found
            time.sleep(waiting.rest(now=time.monotonic()))
        raise BuildTimeout(self.program_id, number, timeout or 0)

    @overload
    def build_log(self, follow: Literal[False] = False, *, version: int | None = None) -> str: ...

    @overload
    def build_log(self, follow: Literal[True], *, version: int | None = None) -> Iterator[str]: ...

    def build_log(self, follow: bool = False, *, version: int | None = None) -> str | Iterator[str]:
        """Return what the build of this version, or of another one, has said so far.

        With `follow`, return an iterator of its lines as they come, to the build's end.

        Raises:
            ProgramNotFound: also for a program of somebody else; its builds are its owner's.
        """
        number = self.version if version is None else version
        lines = self._lines(number, follow=follow)
        return lines if follow else "".join(lines)

    def _lines(self, number: int, *, follow: bool) -> Iterator[str]:
        after, wait = 0, 0.0
        while True:
            page = self._client.send(_calls.get_build(self.program_id, number, after=after, wait=wait))
            yield from (f"{line}\n" for line in page.lines)
            if page.complete or not (follow or page.lines):
                return
            after, wait = page.last, _calls.BUILD_WAIT if follow else 0.0


def versions_of(program_id: str, client: Client) -> list[VersionView]:
    """Return all versions of a program, newest first."""
    found: list[VersionView] = []
    cursor: str | None = None
    while True:
        page = client.send(_calls.list_versions(program_id, cursor=cursor))
        found += page.versions
        cursor = page.next_cursor
        if cursor is None:
            return found
