"""Environments in a directory of their own, made by uv of packages that a test has written."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from qrt_executor.adapters.environment import ProgramEnvironment
from qrt_executor.adapters.environments.builder import Builder
from qrt_executor.adapters.environments.directory import Directory
from qrt_executor.adapters.environments.kept import KeptEnvironments, Rules
from qrt_executor.adapters.environments.sandbox import BuildSandbox, Limits
from qrt_executor.adapters.environments.source import package_source
from qrt_executor.domain.packages import Wanted
from qrt_executor.ports import BuildFailed, Environment

USER = (61000, 61000) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
DISK_BYTES = 128 << 20


class World:
    """Environments in a directory of their own, and what was said while they were made."""

    def __init__(
        self,
        base: ProgramEnvironment,
        root: Path,
        wheels: Path | None,
        *,
        index_url: str | None = None,
        **rules: object,
    ) -> None:
        self.base, self.root, self.said = base, root, list[str]()
        self.directory = Directory(root, tag=base.tag, user=USER if os.geteuid() == 0 else None)
        self.directory.prepare()
        found = package_source(index_url=index_url, wheels=wheels, environ={})
        limits = Limits(memory_bytes=1 << 30, disk_bytes=DISK_BYTES)
        sandbox = BuildSandbox(base, user=USER, limits=limits)
        self.builder = Builder(base, directory=self.directory, sandbox=sandbox, source=found)
        self.kept = KeptEnvironments(
            self.builder,
            directory=self.directory,
            source=found,
            rules=replace(Rules(seconds=60, total_bytes=1 << 40), **rules),  # type: ignore[arg-type]
            jailed=lambda: True,
        )

    async def make(self, *requirements: str) -> Environment:
        async with self.kept.hold(Wanted(requirements=requirements), say=self.said.append) as environment:
            return environment

    async def fail(self, *requirements: str) -> str:
        with pytest.raises(BuildFailed) as failure:
            await self.make(*requirements)
        return failure.value.detail


def names(environment: Environment) -> set[str]:
    """Return what has been installed besides the trusted packages."""
    return {path.name for path in environment.path.glob("venv/lib/python*/site-packages/*")}
