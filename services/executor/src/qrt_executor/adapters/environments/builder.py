"""Makes one environment: a lock of requirements, and what is installed of a lock."""

import asyncio
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from qrt_executor.adapters.environment import ProgramEnvironment
from qrt_executor.adapters.environments.directory import Directory
from qrt_executor.adapters.environments.folder import bring_up_to_date
from qrt_executor.adapters.environments.sandbox import BuildSandbox, Ended, Say, Task
from qrt_executor.adapters.environments.sizes import tree_bytes
from qrt_executor.adapters.environments.source import PackageSource
from qrt_executor.adapters.environments.uv import Uv, silent
from qrt_executor.domain import blame
from qrt_executor.domain.packages import NotALock, names_of, read_lock, split
from qrt_executor.ports import BuildFailed

log = logging.getLogger(__name__)


class Builder:
    """Makes the environments of one executor. It keeps nothing between calls."""

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
        self._uv = Uv(base, directory=directory, sandbox=sandbox, source=source)

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
        ended = await self._uv.of_wheels(name, quiet, lines=requirements, say=silent, jailed=jailed)
        if ended.code != 0 and blame.needs_sources(ended.errors):
            self._check_sources(ended, requirements, say=say, jailed=jailed)
            say("Not all of them have wheels; looking into sources")
            ended = await self._uv.of_sources(
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
        say(f"Installing {names_of(lines)}")
        command = ("pip", "install", "--no-deps", "--require-hashes", "--target", str(made / "trusted"))
        ended = await self._uv.of_wheels(made.name, command, lines=lines, say=silent, jailed=jailed)
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
        await self._uv.make_venv(venv, home=self._directory.shared, jailed=jailed)
        if not lines:
            return
        say(f"Installing {names_of(lines)}")
        command = ("pip", "install", "--no-deps", "--require-hashes", "--python", str(venv))
        options = [line for line in requirements if line.startswith("-")]
        lines = (*options, *lines)
        ended = await self._uv.of_wheels(key, command, lines=lines, say=_until_error(say), jailed=jailed)
        if ended.code != 0 and blame.needs_sources(ended.errors):
            self._check_sources(ended, requirements, say=say, jailed=jailed)
            say("Not all of them have wheels; building sources")
            home = self._directory.private(key)
            command = (*command[:-1], str(home / "venv"))
            ended = await self._uv.of_sources(
                key, command, lines=lines, say=_until_error(say), jailed=jailed, keep=True
            )
            if ended.code == 0:
                _take_over(home / "venv", venv)
        if ended.code != 0:
            raise self._failed(ended, requirements)

    async def _compile(self, made: Path, *, jailed: bool) -> None:
        """Write the bytecode of everything; what cannot be compiled is left as it is."""
        command = (str(self._base.python), "-I", "-S", "-m", "compileall", "-q", "-j", "2")
        task = Task(
            command=(*command, str(made / "trusted"), str(made / "venv")),
            writable=(made / "venv", made / "trusted"),
        )
        await self._sandbox.run(task, say=silent, jailed=jailed)

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
