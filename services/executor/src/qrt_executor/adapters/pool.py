"""Parked sandboxes, always a few at hand, and the zygote they are forked from."""

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from qrt_contracts.faults import Unavailable
from qrt_contracts.values import Isolation, Limits
from qrt_executor import metrics
from qrt_executor.adapters import bubblewrap
from qrt_executor.adapters.canary import CanaryFailed, prove
from qrt_executor.adapters.cgroups import Cgroup, Cgroups
from qrt_executor.adapters.descriptors import close_all
from qrt_executor.adapters.environment import ProgramEnvironment, scrubbed_environ
from qrt_executor.adapters.jail import Jail, receive_ready
from qrt_executor.adapters.scratch import Scratch, make_scratch, sweep, temporary_name
from qrt_executor.adapters.zygote import Zygote, ZygoteFailed
from qrt_executor.ports import Order, Remark, Sandbox, Sandboxes, SandboxUnavailable

log = logging.getLogger(__name__)

_TAKE_SECONDS = 20.0
"""A new zygote needs about a second; on a loaded machine several."""
_WORN_AFTER = 20_000
"""Sandboxes after which a zygote is replaced."""
_FAILED_SPAWNS = 3
"""In a row; then the zygote is taken to be broken."""
_AFTER_FAILURE_SECONDS = 0.2
_RETIRE_SECONDS = 0.5
_NOT_YET = "no zygote serves yet"
_AT_ONCE = 2
"""Sandboxes that are made side by side: their zygote forks one while the last one furnishes itself."""
_UNHURRIED_SECONDS = 0.010
"""While enough sandboxes are parked, the next one's making leaves the attempt just started alone."""


class NoIsolation(Exception):
    """None of the levels that are allowed works on this host; the text says why each does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """Where and as whom zygotes run."""

    environment: ProgramEnvironment
    levels: tuple[Isolation, ...]
    """What may be used, strongest first."""
    scratch: Path
    """Holds the host's temporary directories: one of the zygote's, and at `process` one per attempt."""
    user: tuple[int, int]
    """uid and gid of zygotes and programs, as the host sees them."""
    give_away: bool
    """The executor runs as root, so that directories must be given to `user`."""
    cgroups: Cgroups | None
    network: bool = False
    """Zygotes keep the host's network, so that a jail which may have it can be forked from them."""
    disk_bytes: int
    """Of a parked jail's private file systems; a program that asks for another size gets its own jail."""


class ZygotePool:
    """`ports.Workshop` and `ports.Sandboxes`: keeps `depth` sandboxes parked while `run` runs."""

    def __init__(self, station: Station, *, depth: int, worn_after: int = _WORN_AFTER) -> None:
        self._station = station
        self._levels = station.levels
        self._parked: asyncio.Queue[Jail] = asyncio.Queue(maxsize=depth)
        self._worn_after = worn_after
        self._zygote: Zygote | None = None
        self._missing = _NOT_YET

    @property
    def isolation(self) -> Isolation:
        """The level every sandbox has; before the first zygote serves, the one that is hoped for."""
        return self._levels[0]

    @property
    def ready(self) -> bool:
        """A sandbox can be had now, or within the time one fork takes."""
        return self._zygote is not None

    @property
    def tried(self) -> bool:
        """A zygote serves, or it is known why none does."""
        return self.ready or self._missing != _NOT_YET

    async def ping(self) -> None:
        """Return if programs can be run. Raises Unavailable, which says what is missing."""
        if not self.ready:
            raise Unavailable(self._missing)

    async def run(self) -> None:
        """Keep a zygote running and sandboxes parked, until cancelled.

        Raises:
            NoIsolation: no allowed level works here; work is refused until one does.
            ZygoteFailed: the zygote has died; call again.
        """
        sweep(self._station.scratch)
        try:
            async with asyncio.TaskGroup() as retiring:
                while True:
                    async with contextlib.AsyncExitStack() as stack:
                        self._zygote = zygote = await stack.enter_async_context(self._serving())
                        await self._serve(zygote)
                        log.info("the zygote is worn and gets a successor")
                        retiring.create_task(_retire(zygote, stack.pop_all()))
        except* ZygoteFailed as failures:
            self._missing = "the zygote has ended and is being replaced"
            raise failures.exceptions[0] from None
        except* NoIsolation as failures:
            raise failures.exceptions[0] from None
        finally:
            self._zygote = None
            await self._clear()

    async def _clear(self) -> None:
        """Close all that is parked; none keeps its channels open should this be cancelled."""
        parked = [self._parked.get_nowait() for _ in range(self._parked.qsize())]
        metrics.PARKED.dec(len(parked))
        for jail in parked:
            jail.abandon()
        await asyncio.gather(*(jail.close() for jail in parked))

    async def _serve(self, zygote: Zygote) -> None:
        """Park sandboxes until the zygote is worn. Raises ZygoteFailed when it dies."""
        refilling = asyncio.ensure_future(self._refill(zygote))
        dying = asyncio.ensure_future(zygote.ended())
        try:
            await asyncio.wait({refilling, dying}, return_when=asyncio.FIRST_COMPLETED)
            if dying.done():
                raise ZygoteFailed("the zygote has ended")
            await refilling
        finally:
            for task in (refilling, dying):
                task.cancel()
            await asyncio.gather(refilling, dying, return_exceptions=True)

    async def prepare(self, order: Order, *, remark: Remark) -> Sandboxes:  # noqa: ARG002
        """Return itself: what its programs need is there."""
        return self

    async def take(self, limits: Limits, *, network: bool = False) -> Sandbox:
        """Return a parked sandbox, or one made to measure. Raises SandboxUnavailable.

        At the levels without namespaces `network` changes nothing: `landlock` never has any, and
        `process` always the host's.
        """
        try:
            async with asyncio.timeout(_TAKE_SECONDS):
                made = limits.disk_bytes != self._station.disk_bytes or network
                if made and self._zygote is not None:
                    metrics.SANDBOXES.labels("made").inc()
                    return await self._spawn(self._zygote, disk_bytes=limits.disk_bytes, network=network)
                while True:
                    jail = await self._parked.get()
                    metrics.PARKED.dec()
                    if jail.alive:
                        metrics.SANDBOXES.labels("parked").inc()
                        return jail
                    await jail.close()
        except TimeoutError:
            raise SandboxUnavailable("no sandbox is to be had: the zygote does not serve") from None
        except ZygoteFailed as exc:
            raise SandboxUnavailable(str(exc)) from exc

    async def replace_parent(self, sandbox: Sandbox) -> None:
        """Kill what would not die: the sandbox by force, and with its zygote all that shares it."""
        log.error("an attempt survived SIGKILL; killing its zygote")
        if isinstance(sandbox, Jail):
            sandbox.kill_by_force()
            sandbox.zygote.kill()

    # --- zygotes ------------------------------------------------------------------------------

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[Zygote]:
        """Start a zygote at the strongest level that its canary finds to hold.

        A level once found is kept: a later failure of it is a failure, never a step down.
        """
        reasons: list[str] = []
        for level in self._levels:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    zygote = await stack.enter_async_context(self._proven(level))
                except (ZygoteFailed, CanaryFailed) as exc:
                    reasons.append(f"{level.value}: {exc}")
                    log.warning("isolation level %s does not work here: %s", level.value, exc)
                    continue
                self._levels = (level,)
                yield zygote
                return
        self._missing = "no allowed isolation level works on this host: " + " | ".join(reasons)
        raise NoIsolation(self._missing)

    @asynccontextmanager
    async def _proven(self, level: Isolation) -> AsyncIterator[Zygote]:
        station = self._station
        with tempfile.TemporaryDirectory(prefix=temporary_name("zygote"), dir=station.scratch) as name:
            home = Path(name)
            os.chmod(home, 0o755)  # noqa: S103 - programs' interpreters read the accounts in it
            zygote = await self._start(level, home)
            try:
                jail = await self._spawn(zygote, disk_bytes=station.disk_bytes)
                await prove(jail, home=home, limits=Limits(disk_bytes=station.disk_bytes))
                log.info("a zygote serves at level %s", level.value)
                if level is Isolation.PROCESS:
                    log.warning("programs run here without isolation: run only what you trust")
                yield zygote
            finally:
                await zygote.close()

    async def _start(self, level: Isolation, home: Path) -> Zygote:
        station = self._station
        if station.give_away:
            os.chown(home, *station.user)
        return await Zygote.start(
            self._command(level, home),
            level=level,
            environ=scrubbed_environ(home),
            reach=station.environment.roots,
            user=station.user,
        )

    def _command(self, level: Isolation, home: Path) -> Sequence[str]:
        environment = self._station.environment
        zygote = [
            *(*environment.interpreter, str(environment.runner / "zygote.py")),
            *(level.value, *environment.arguments),
        ]
        if level is Isolation.PROCESS:
            return zygote
        if level is Isolation.LANDLOCK:
            return [*zygote, *map(str, environment.roots)]
        bwrap = bubblewrap.find_bubblewrap()
        if bwrap is None:
            raise ZygoteFailed("bubblewrap (bwrap) is not installed")
        bubblewrap.write_accounts(home)
        return bubblewrap.sandboxed(
            bwrap,
            zygote,
            environment=environment,
            environ=scrubbed_environ(Path(bubblewrap.TMP)),
            home=home,
            network=self._station.network,
        )

    async def _refill(self, zygote: Zygote) -> None:
        left = iter(range(self._worn_after))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(self._park(zygote, left))
        except* ZygoteFailed as failures:
            raise failures.exceptions[0] from None

    async def _park(self, zygote: Zygote, left: Iterator[int]) -> None:
        """Park a sandbox for each number that is left. Raises ZygoteFailed when they cannot be made."""
        failures = 0
        for _ in left:
            if self._parked.qsize() > self._parked.maxsize // 2:
                await asyncio.sleep(_UNHURRIED_SECONDS)
            try:
                jail = await self._spawn(zygote, disk_bytes=self._station.disk_bytes)
            except ZygoteFailed as exc:
                failures += 1
                if failures > _FAILED_SPAWNS or not zygote.alive:
                    raise
                log.warning("a sandbox could not be made: %s", exc)
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)
                continue
            failures = 0
            try:
                await self._parked.put(jail)
                metrics.PARKED.inc()
            except asyncio.CancelledError:
                await jail.close()
                raise

    async def _spawn(self, zygote: Zygote, *, disk_bytes: int, network: bool = False) -> Jail:
        """Make a sandbox, or free what was made for one that does not come to be. Raises ZygoteFailed."""
        async with contextlib.AsyncExitStack() as undo:
            cgroup, procs = self._grouped(undo)
            scratch = self._scratch(zygote, undo)
            inside = {"disk_bytes": disk_bytes, "network": network, "host_network": self._station.network}
            request = inside if scratch is None else {"own": str(scratch.root)}
            try:
                ends = await zygote.spawn(request, extra=procs)
            finally:
                close_all(*procs)
            undo.callback(ends.close)
            try:
                ready = await receive_ready(ends, jailed=zygote.level is Isolation.JAIL)
            except SandboxUnavailable as exc:
                raise ZygoteFailed(str(exc)) from exc
            undo.callback(ready.close)
            if scratch is not None:
                directory = os.open(scratch.output, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                ready = replace(ready, directory=directory)
            undo.pop_all()
        return Jail(
            ends,
            ready=ready,
            zygote=zygote,
            uid=self._station.user[0],
            scratch=scratch,
            cgroup=cgroup,
        )

    def _grouped(self, undo: contextlib.AsyncExitStack) -> tuple[Cgroup | None, list[int]]:
        """Make a control group, if any can be had, and open what a process joins it by."""
        if self._station.cgroups is None:
            return None, []
        try:
            cgroup = self._station.cgroups.make()
            undo.callback(cgroup.remove)
            return cgroup, cgroup.open_procs()
        except OSError as exc:
            raise ZygoteFailed(f"no control group can be made: {exc}") from exc

    def _scratch(self, zygote: Zygote, undo: contextlib.AsyncExitStack) -> Scratch | None:
        """Make directories on the host, for the levels that have no private file system."""
        if zygote.level is Isolation.JAIL:
            return None
        station = self._station
        scratch = make_scratch(station.scratch, owner=station.user if station.give_away else None)
        undo.callback(scratch.remove)
        return scratch


async def _retire(zygote: Zygote, held: contextlib.AsyncExitStack) -> None:
    """End a worn zygote once the last attempt that hangs on it is over."""
    async with held:
        while zygote.attempts and zygote.alive:  # noqa: ASYNC110 - no hurry, and no bookkeeping
            await asyncio.sleep(_RETIRE_SECONDS)
