"""Makes one environment: a lock of requirements, and what is installed of a lock.

Two worlds, which never meet. Where packages come as wheels, uv runs no code of theirs: such runs share
a cache, whose files environments are linked from. Where a source has to be built, its code runs: such
a run has a cache of its own, sees nothing of the shared one, and is given no credentials.
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
from qrt_executor.adapters.environments.folder import bring_up_to_date
from qrt_executor.adapters.environments.sandbox import (
    BuildSandbox,
    Ended,
    Reach,
    Say,
    Task,
)
from qrt_executor.adapters.environments.sizes import tree_bytes
from qrt_executor.adapters.environments.source import PackageSource
from qrt_executor.domain import blame
from qrt_executor.domain.packages import NotALock, pinned, read_lock, split
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


class Builder:
    """Runs uv for one executor. Between calls it keeps only where the index's files stand."""

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

    async def lock(
        self, requirements: Sequence[str], *, name: str, say: Say, jailed: bool
    ) -> tuple[str, ...]:
        """Return what requirements mean now: each package pinned, with its hashes.

        Raises:
            BuildFailed: they cannot be met; the text names the one at fault.
            LimitReached: as the sandbox raises it.
        """
        await self._refresh_folder()
        say(f"Resolving {_counted(requirements, 'requirement')}")
        command = ("pip", "compile", "--generate-hashes", "--no-header", "--no-annotate")
        quiet = (*command, "--quiet")
        ended = await self._of_wheels(name, quiet, lines=requirements, say=_silent, jailed=jailed)
        if ended.code != 0 and blame.needs_sources(ended.errors):
            self._check_sources(ended, requirements, say=say, jailed=jailed)
            say("Not all of them have wheels; looking into sources")
            ended = await self._of_sources(
                name, command, lines=requirements, say=_until_error(say), jailed=jailed
            )
        if ended.code != 0:
            raise self._failed(ended, requirements)
        try:
            return read_lock(ended.output)
        except NotALock as exc:
            raise BuildFailed(f"the requirements cannot be pinned: {exc}") from None

    async def install(
        self, lock: Sequence[str], key: str, *, requirements: Sequence[str], say: Say, jailed: bool
    ) -> None:
        """Install a lock and put the environment in its place. Only for who holds `key` alone.

        Raises:
            BuildFailed: it cannot be installed; the text names the package at fault.
            LimitReached: as the sandbox raises it.
        """
        await self._refresh_folder()
        made = self._directory.building(key)
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for part in ("venv", "trusted"):
            self._directory.give(made / part)
        try:
            apart = await self._trusted(lock, made, say=say, jailed=jailed)
            others = tuple(line for line in lock if line not in apart)
            await self._others(others, made, key, requirements=requirements, say=say, jailed=jailed)
            await self._compile(made, jailed=jailed)
            facts = {"trusted": len(apart), "packages": len(lock), "size_bytes": tree_bytes(made)}
            self._directory.finish(made, key, facts)
            say(f"The environment is ready: {_counted(lock, 'package')}, {facts['size_bytes'] >> 20} MiB")
        finally:
            shutil.rmtree(made, ignore_errors=True)
            shutil.rmtree(self._directory.private(key), ignore_errors=True)

    async def _refresh_folder(self) -> None:
        if self._source.copied is not None:
            await asyncio.to_thread(bring_up_to_date, self._source.copied, self._source.readable[0])

    # --- parts of it ----------------------------------------------------------------------------

    async def _trusted(self, lock: Sequence[str], made: Path, *, say: Say, jailed: bool) -> tuple[str, ...]:
        """Install the trusted packages apart, wheels of the operator's index alone; return their lines.

        What does not come from there as the lock says is none of them: it goes where the others are.
        """
        lines, _ = split(lock)
        if not lines:
            return ()
        say(f"Installing {_names(lines)}")
        command = ("pip", "install", "--no-deps", "--require-hashes", "--target", str(made / "trusted"))
        ended = await self._of_wheels(made.name, command, lines=lines, say=_silent, jailed=jailed)
        if ended.code == 0:
            return lines
        log.info("trusted packages are installed as others: %s", ended.errors[-1000:])
        shutil.rmtree(made / "trusted", ignore_errors=True)
        self._directory.give(made / "trusted")
        return ()

    async def _others(
        self,
        lines: tuple[str, ...],
        made: Path,
        key: str,
        *,
        requirements: Sequence[str],
        say: Say,
        jailed: bool,
    ) -> None:
        venv = made / "venv"
        await self._make_venv(venv, jailed=jailed)
        if not lines:
            return
        say(f"Installing {_names(lines)}")
        command = ("pip", "install", "--no-deps", "--require-hashes", "--python", str(venv))
        options = [line for line in requirements if line.startswith("-")]
        lines = (*options, *lines)
        ended = await self._of_wheels(key, command, lines=lines, say=_until_error(say), jailed=jailed)
        if ended.code != 0 and blame.needs_sources(ended.errors):
            self._check_sources(ended, requirements, say=say, jailed=jailed)
            say("Not all of them have wheels; building sources")
            home = self._directory.private(key)
            command = (*command[:-1], str(home / "venv"))
            ended = await self._of_sources(
                key, command, lines=lines, say=_until_error(say), jailed=jailed, keep=True
            )
            if ended.code == 0:
                _take_over(home / "venv", venv)
        if ended.code != 0:
            raise self._failed(ended, requirements)

    async def _make_venv(self, venv: Path, *, jailed: bool) -> None:
        shared = self._directory.shared
        task = self._task(
            ("venv", "--relocatable", "--allow-existing", "--quiet", str(venv)), home=shared, cache=None
        )
        ended = await self._sandbox.run(task, say=_silent, jailed=jailed)
        if ended.code != 0:
            raise self._failed(ended, ())

    async def _compile(self, made: Path, *, jailed: bool) -> None:
        """Write the bytecode of everything; what cannot be compiled is left as it is."""
        command = (str(self._base.python), "-I", "-S", "-m", "compileall", "-q", "-j", "2")
        task = Task(
            command=(*command, str(made / "trusted"), str(made / "venv")),
            writable=(made / "venv", made / "trusted"),
        )
        await self._sandbox.run(task, say=_silent, jailed=jailed)

    # --- uv -------------------------------------------------------------------------------------

    async def _of_wheels(
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
                ended = await self._of_wheels(name, command, lines=_COMMON, say=_silent, jailed=True)
            if ended.code != 0:
                log.info("the index has no %s: %s", " ".join(_COMMON), ended.errors[-1000:])
            self._looked = not blame.index_is_away(ended.errors)

    async def _of_sources(
        self,
        name: str,
        command: Sequence[str],
        *,
        lines: Sequence[str],
        say: Say,
        jailed: bool,
        keep: bool = False,
    ) -> Ended:
        """Run uv where the code of packages runs beside it. Who asks to `keep` what it made removes it."""
        await self._look_around()
        home = self._directory.private(name)
        shutil.rmtree(home, ignore_errors=True)
        for path in (home, home / "tmp", home / "cache"):
            self._directory.give(path)
        given = home.with_suffix(".in")
        given.write_text("".join(f"{line}\n" for line in lines))
        try:
            if keep:
                venv = self._task(
                    ("venv", "--relocatable", "--quiet", str(home / "venv")), home=home, cache=None
                )
                await self._sandbox.run(venv, say=_silent, jailed=jailed)
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

    # --- failures -------------------------------------------------------------------------------

    def _check_sources(self, ended: Ended, requirements: Sequence[str], *, say: Say, jailed: bool) -> None:
        """Refuse to build sources where their code could do harm. Raises BuildFailed."""
        if not jailed:
            reason = "and this executor cannot build sources: it has no sandbox for them (bubblewrap)"
        elif self._source.secret:
            reason = "and sources are not built here: the address of the package index holds credentials"
        else:
            return
        say(ended.errors)
        raise BuildFailed(f"{blame.sentence(ended.errors, requirements)}, {reason}")

    def _failed(self, ended: Ended, requirements: Sequence[str]) -> BuildFailed:
        return BuildFailed(
            blame.sentence(ended.errors, requirements),
            retryable=blame.index_is_away(ended.errors),
            output=ended.errors,
        )


def _take_over(made: Path, place: Path) -> None:
    """Move what a build of sources has made to its place. Raises BuildFailed if its code has removed it."""
    if made.is_symlink() or not made.is_dir():
        raise BuildFailed("what its sources were built into is no directory any more")
    shutil.rmtree(place)
    made.rename(place)


def _silent(line: str) -> None:
    del line


def _until_error(say: Say) -> Say:
    """Return what passes lines on until uv gives up; there may be another way, and else all is told."""
    failed = False

    def pass_on(line: str) -> None:
        nonlocal failed
        failed = failed or line.startswith("error:")
        if not failed and not line.startswith("Using Python"):
            say(line)

    return pass_on


def _counted(lines: Sequence[str], noun: str) -> str:
    return f"{len(lines)} {noun}" + ("" if len(lines) == 1 else "s")


def _names(lines: Sequence[str]) -> str:
    """Return what a lock's lines pin, without their hashes."""
    names = [each.line.partition(" --hash")[0].partition(" ;")[0] for each in pinned(lines)]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
