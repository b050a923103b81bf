"""Runs uv, in two worlds which never meet.

Where packages come as wheels, uv runs no code of theirs: such runs share a cache, whose files environments
are linked from. Where a source has to be built, its code runs: such a run has a cache of its own, sees
nothing of the shared one, and is given no credentials.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from uv import find_uv_bin

from qrt_executor.adapters.environment import ProgramEnvironment
from qrt_executor.adapters.environments.directory import Directory
from qrt_executor.adapters.environments.sandbox import BuildSandbox, Ended, Reach, Say, Task
from qrt_executor.adapters.environments.source import PackageSource
from qrt_executor.domain import blame
from qrt_executor.ports import BuildFailed

log = logging.getLogger(__name__)

_QUIET = {
    "UV_NO_PROGRESS": "1",
    "NO_COLOR": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_LINK_MODE": "hardlink",
}

_COMMON = ("setuptools",)
"""What any index has, and most sources are built with."""


class Uv:
    """Runs uv for one executor. Between runs it keeps only where the index's files stand."""

    def __init__(
        self,
        base: ProgramEnvironment,
        *,
        directory: Directory,
        sandbox: BuildSandbox,
        source: PackageSource,
    ) -> None:
        self._base = base
        self._directory = directory
        self._sandbox = sandbox
        self._source = source
        self._uv = Path(find_uv_bin())
        self._hosts = source.open_to
        self._looked = False
        self._looking = asyncio.Lock()

    async def make_venv(self, venv: Path, *, home: Path, jailed: bool) -> None:
        """Make an empty environment below `home`. Raises BuildFailed."""
        command = ("venv", "--relocatable", "--allow-existing", "--quiet", str(venv))
        ended = await self._sandbox.run(self._task(command, home=home, cache=None), say=silent, jailed=jailed)
        if ended.code != 0:
            raise BuildFailed(blame.sentence(ended.errors, ()), output=ended.errors)

    async def of_wheels(
        self, name: str, command: Sequence[str], *, lines: Sequence[str], say: Say, jailed: bool
    ) -> Ended:
        """Run uv where no code of a package runs: so wherever it went is where the index has sent it."""
        home = self._directory.shared
        given = self._directory.building(name + ".in")
        given.write_text("".join(f"{line}\n" for line in lines))
        try:
            async with self._directory.held("cache", alone=False):
                task = self._task(
                    (*command, "--no-build", *self._from(given, command)),
                    home=home,
                    cache=self._directory.cache,
                )
                ended = await self._sandbox.run(self._with_index(task, anywhere=True), say=say, jailed=jailed)
                self._hosts |= ended.reached
                return ended
        finally:
            given.unlink(missing_ok=True)

    async def _look_around(self) -> None:
        """Learn once from which hosts the index gives its files: builds of sources reach no others."""
        async with self._looking:
            if self._looked or self._source.offline:
                return
            command = ("pip", "compile", "--quiet", "--refresh")
            name = f"look-{os.getpid()}"
            async with self._directory.held(name, alone=True):
                ended = await self.of_wheels(name, command, lines=_COMMON, say=silent, jailed=True)
            if ended.code != 0:
                log.info("the index has no %s: %s", " ".join(_COMMON), ended.errors[-1000:])
            self._looked = not blame.index_is_away(ended.errors)

    async def of_sources(
        self,
        name: str,
        command: Sequence[str],
        *,
        lines: Sequence[str],
        say: Say,
        jailed: bool,
        keep: bool = False,
    ) -> Ended:
        """Run uv where the code of packages runs beside it, in a private directory.

        Who asks to `keep` that has a `venv` there, and removes it.
        """
        await self._look_around()
        home = self._directory.private(name)
        shutil.rmtree(home, ignore_errors=True)
        for path in (home, home / "tmp", home / "cache"):
            self._directory.give(path)
        given = home.with_suffix(".in")
        given.write_text("".join(f"{line}\n" for line in lines))
        try:
            if keep:
                await self.make_venv(home / "venv", home=home, jailed=jailed)
            task = self._task(
                (*command, *self._from(given, command)), home=home, cache=home / "cache", given=given
            )
            return await self._sandbox.run(self._with_index(task), say=say, jailed=jailed)
        finally:
            given.unlink(missing_ok=True)
            if not keep:
                shutil.rmtree(home, ignore_errors=True)

    def _task(
        self, command: Sequence[str], *, home: Path, cache: Path | None, given: Path | None = None
    ) -> Task:
        python = () if "--python" in command else ("--python", str(self._base.python))
        where = ("--no-cache",) if cache is None else ("--cache-dir", str(cache))
        return Task(
            command=(str(self._uv), *command, *python, *where),
            writable=(home,),
            readable=(self._uv, *self._source.readable, *(() if given is None else (given,))),
            environ=_QUIET,
        )

    def _with_index(self, task: Task, *, anywhere: bool = False) -> Task:
        reach = None if self._source.offline else Reach(open_to=self._hosts, anywhere=anywhere)
        return replace(task, environ={**task.environ, **self._source.environ}, network=reach)

    def _from(self, given: Path, command: Sequence[str]) -> tuple[str, ...]:
        name = (str(given),) if command[1] == "compile" else ("-r", str(given))
        return (*name, *self._source.options)


def silent(line: str) -> None:
    """Take in a line that nobody is to see."""
    del line
