"""Parked sandboxes, always a few at hand, and the zygote they are forked from."""

import asyncio
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qrt_contracts.values import Isolation
from qrt_executor.adapters.environment import ProgramEnvironment, scrubbed_environ
from qrt_executor.adapters.jail import Jail, Places, receive_ready
from qrt_executor.adapters.scratch import Scratch, make_scratch
from qrt_executor.adapters.zygote import Zygote, ZygoteFailed
from qrt_executor.ports import Sandbox, SandboxUnavailable

log = logging.getLogger(__name__)

_TAKE_SECONDS = 20.0
"""A new zygote needs about a second; on a loaded machine several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """Where and as whom zygotes run."""

    environment: ProgramEnvironment
    isolation: Isolation
    scratch: Path
    """Holds one directory per attempt, at the levels that need one on the host."""
    user: tuple[int, int]
    """uid and gid of zygotes and programs."""
    give_away: bool
    """The executor runs as root, so that directories must be given to `user`."""


class ZygotePool:
    """`ports.Sandboxes`: keeps `depth` sandboxes parked while `run` runs."""

    def __init__(self, station: Station, *, depth: int) -> None:
        self._station = station
        self._parked: asyncio.Queue[Jail] = asyncio.Queue(maxsize=depth)
        self._zygote: Zygote | None = None

    @property
    def isolation(self) -> Isolation:
        """The level every sandbox has."""
        return self._station.isolation

    @property
    def ready(self) -> bool:
        """A sandbox can be had now, or within the time one fork takes."""
        return self._zygote is not None

    async def run(self) -> None:
        """Keep a zygote running and sandboxes parked, until cancelled.

        Raises:
            ZygoteFailed: the zygote could not be started, or has died; call again.
        """
        with tempfile.TemporaryDirectory(prefix="qrt-zygote-", dir=self._station.scratch) as home:
            zygote = await self._start(Path(home))
            self._zygote = zygote
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_watch(zygote))
                    group.create_task(self._refill(zygote))
            except* ZygoteFailed as failures:
                raise failures.exceptions[0] from None
            finally:
                self._zygote = None
                await self._retire(zygote)

    async def take(self) -> Sandbox:
        """Return a parked sandbox. Raises SandboxUnavailable."""
        try:
            async with asyncio.timeout(_TAKE_SECONDS):
                while True:
                    jail = await self._parked.get()
                    if jail.alive:
                        return jail
                    await jail.close()
        except TimeoutError:
            raise SandboxUnavailable("no sandbox is to be had: the zygote does not serve") from None

    async def replace_parent(self, sandbox: Sandbox) -> None:
        """Kill what would not die: the sandbox by force, and with its zygote all that shares it."""
        log.error("an attempt survived SIGKILL; killing its zygote")
        if isinstance(sandbox, Jail):
            sandbox.kill_by_force()
            sandbox.zygote.kill()

    async def _start(self, home: Path) -> Zygote:
        station = self._station
        if station.give_away:
            os.chown(home, *station.user)
        zygote = await Zygote.start(
            self._command(),
            environ=scrubbed_environ(home),
            reach=station.environment.roots,
            user=station.user,
        )
        log.info("zygote %d serves at level %s", zygote.pid, station.isolation.value)
        return zygote

    def _command(self) -> Sequence[str]:
        environment = self._station.environment
        return [
            str(environment.python),
            *("-I", "-X", "utf8", str(environment.runner / "zygote.py")),
            self._station.isolation.value,
        ]

    async def _refill(self, zygote: Zygote) -> None:
        while True:
            jail = await self._spawn(zygote)
            try:
                await self._parked.put(jail)
            except asyncio.CancelledError:
                await jail.close()
                raise

    async def _spawn(self, zygote: Zygote) -> Jail:
        ends = await zygote.spawn()
        try:
            pid = await receive_ready(ends)
            return Jail(ends, pid=pid, isolation=self.isolation, places=self._places, zygote=zygote)
        except SandboxUnavailable as exc:
            ends.close()
            raise ZygoteFailed(str(exc)) from exc
        except BaseException:
            ends.close()
            raise

    def _places(self) -> tuple[Places, Scratch | None]:
        owner = self._station.user if self._station.give_away else None
        scratch = make_scratch(self._station.scratch, owner=owner)
        places = Places(work=str(scratch.work), tmp=str(scratch.tmp), output=str(scratch.output))
        return places, scratch

    async def _retire(self, zygote: Zygote) -> None:
        await zygote.close()
        while not self._parked.empty():
            await self._parked.get_nowait().close()


async def _watch(zygote: Zygote) -> None:
    await zygote.ended()
    raise ZygoteFailed(f"zygote {zygote.pid} has ended")
