"""The registry's half of builds: they are ordered, heard of, and their ends and logs are kept."""

import asyncio
import contextlib
import hashlib
import logging
from datetime import timedelta

from qrt_chassis.bus.port import Bus, Undeliverable
from qrt_contracts.commands import BuildLogPage
from qrt_contracts.events import BuildProgress, BuildVersion, VersionBuilt
from qrt_contracts.values import BuildState, Payload, Program, ProgramKind, Version
from qrt_registry import domain, metrics, orders
from qrt_registry.orders import OpenBuild
from qrt_registry.ports import BuildStore, Bundles, Clock, ProgramStore

log = logging.getLogger(__name__)

SWEEP_SECONDS = 2.0
"""How often open builds are looked through. A push wakes the sweep; this repairs what no push told."""
LOCK_WORTH = timedelta(hours=1)
"""So long a lock serves for other versions with the same requirements."""
VERSION_INLINE = 4 << 10
PAGE_LINES = 1_000
_LOOK_SECONDS = 0.5
_LAST_LINE_SECONDS = 5.0
_WAITING = 16
"""Readers that may wait for news at once; each holds a place among those that answer commands."""


class Builds:
    """Any replica orders, one at a time hears: `registry.builds` has a single active consumer."""

    def __init__(
        self, *, bus: Bus, programs: ProgramStore, store: BuildStore, bundles: Bundles, clock: Clock
    ) -> None:
        self._bus = bus
        self._programs = programs
        self._store = store
        self._bundles = bundles
        self._clock = clock
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self._waiting = 0

    # --- orders -----------------------------------------------------------------------------------

    async def open(self, program_id: str, version: Version, *, kind: ProgramKind) -> None:
        """Note that a version must be built, before it is stored: a crash in between leaves no harm."""
        if version.build.state is not BuildState.BUILDING:
            return
        now = self._clock()
        await self._store.open(
            OpenBuild(
                program_id=program_id,
                version=version.number,
                needs=_needs(version, kind),
                opened_at=now,
                due_at=now,
            )
        )

    async def open_again(self, program_id: str, version: Version, *, kind: ProgramKind) -> None:
        """Note that a version must be built once more; what was said of it before is forgotten."""
        await self._store.forget_log(orders.build_key(program_id, version.number))
        await self.open(program_id, version, kind=kind)

    def look(self) -> None:
        """Have open builds looked through soon."""
        self._wake.set()

    async def forget(self, program_id: str) -> None:
        """Forget the builds of a program that is gone, and their logs."""
        await self._store.forget(program_id)

    async def run(self) -> None:
        """Order builds, for ever."""
        await self._take_up()
        while True:
            self._wake.clear()
            await self.sweep()
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _take_up(self) -> None:
        """Have everything ordered anew: whoever built it may be gone with the process before this one."""
        now = self._clock()
        for each in await self._store.all_open():
            if each.orders:
                await self._store.change(each, each.anew(now))

    async def sweep(self) -> None:
        """Order what is to be ordered now."""
        found = await self._store.all_open()
        metrics.OPEN.set(len(found))
        if not found:
            return
        now = self._clock()
        needs = {each.needs for each in found if each.needs}
        locks = {each: await self._store.lock(each, since=now - LOCK_WORTH) for each in needs}
        locked = {each for each, lock in locks.items() if lock is not None}
        for each in orders.to_order(found, now=now, locked=locked):
            await self._order(each, locks.get(each.needs or ""))

    async def _order(self, build: OpenBuild, lock: Payload | None) -> None:
        program = await self._programs.get(build.program_id)
        version = await self._programs.version(build.program_id, build.version) if program else None
        now = self._clock()
        if program is None or version is None:
            # It may not be stored yet; one that was given up is forgotten after a while.
            if now - build.opened_at > orders.SILENCE:
                await self._store.close(build.key)
            return
        if version.build.state is not BuildState.BUILDING:
            await self._store.close(build.key)
            return
        ordered = build.ordered(now)
        if not await self._store.change(build, ordered):
            return  # another replica was faster
        try:
            await self._bus.publish(_order_of(program, version, lock), mandatory=True)
            metrics.ORDERED.inc()
        except Undeliverable:
            log.info("no executor takes builds of %s programs yet", program.kind)
            await self._store.change(ordered, build.not_taken(now))

    # --- what is heard ----------------------------------------------------------------------------

    async def progressed(self, event: BuildProgress) -> None:
        """Keep lines of a build's log. Safe to repeat."""
        build = await self._store.get(event.program_id, event.version)
        if build is None:
            return  # it has ended, or never was
        await self._store.change(build, build.heard_of(self._clock()))
        await self._store.add_lines(
            build.key, program_id=build.program_id, first=event.first, lines=event.lines
        )
        self._tell()

    async def ended(self, event: VersionBuilt) -> None:
        """Keep how a build ended. Safe to repeat."""
        build = await self._store.get(event.program_id, event.version)
        if build is not None and event.problem is not None and orders.may_pass(build, event.problem):
            await self._store.change(build, build.failed(self._clock()))
            return
        if build is not None:
            await self._all_told(build, event.last_line)
        version = await self._programs.version(event.program_id, event.version)
        if version is not None and version.build.state is not BuildState.READY:
            await self._keep_end(version, event, build)
        if build is not None:
            await self._store.close(build.key)
        self._tell()
        self.look()

    async def _all_told(self, build: OpenBuild, last_line: int) -> None:
        """Wait for the log's last line: heard before the end, it may still be on its way to the store.

        Whoever then finds the build ended finds its log whole. Not for ever: the line may have been lost.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_LINE_SECONDS):
                while last_line:
                    news = self._news
                    if await self._store.lines(build.key, after=last_line - 1):
                        return
                    await news.wait()

    async def _keep_end(self, version: Version, event: VersionBuilt, build: OpenBuild | None) -> None:
        lock = await self._small(event.lock)
        if build is not None and build.needs and lock is not None and event.problem is None:
            await self._share(build.needs, lock)
        built = domain.built(version, event, lock=lock, signature=await self._small(event.signature))
        await self._programs.replace_version(event.program_id, built, believed=version.build.state)
        metrics.ENDED.labels("ready" if event.problem is None else "failed").inc()
        metrics.SECONDS.observe(max(0.0, (event.ended_at - event.started_at).total_seconds()))

    async def _share(self, needs: str, lock: Payload) -> None:
        now = self._clock()
        if await self._store.lock(needs, since=now - LOCK_WORTH) is None:
            await self._store.keep_lock(needs, lock, at=now, worth=LOCK_WORTH)

    async def _small(self, payload: Payload | None) -> Payload | None:
        if payload is None or payload.text is None:
            return payload
        return await kept(payload.text, self._bundles)

    # --- the log ----------------------------------------------------------------------------------

    async def read(self, program_id: str, version: int, *, after: int, wait_seconds: float) -> BuildLogPage:
        """Return lines of a build's log; wait for some while the build runs and there are none."""
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            news = self._news
            page = await self._page(program_id, version, after)
            left = deadline - asyncio.get_running_loop().time()
            if page.lines or page.complete or left <= 0 or self._waiting >= _WAITING:
                return page
            self._waiting += 1
            try:
                # Another replica may be the one that hears of builds: its news are found by looking.
                async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                    await news.wait()
            except TimeoutError:
                continue
            finally:
                self._waiting -= 1

    async def _page(self, program_id: str, number: int, after: int) -> BuildLogPage:
        version = await self._programs.version(program_id, number)
        if version is None:
            return BuildLogPage(complete=True)
        lines = await self._store.lines(orders.build_key(program_id, number), after=after)
        page = tuple(lines[:PAGE_LINES])
        ended = version.build.state is not BuildState.BUILDING
        return BuildLogPage(
            lines=page,
            last=after + len(page),
            complete=ended and len(page) == len(lines),
            build=version.build,
        )

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


async def kept(text: str, bundles: Bundles) -> Payload:
    """Return a payload for what a version holds: inline only while it is small.

    All versions of a program share a document, and each job has a copy of what it runs.
    """
    data = text.encode()
    if len(data) <= VERSION_INLINE:
        return Payload(text=text)
    return Payload(artifact=await bundles.put(data))


def _needs(version: Version, kind: ProgramKind) -> str | None:
    if kind is ProgramKind.CONTAINER:
        return f"image:{version.image}" if version.image else version.bundle.sha256
    if version.environment is None:
        return None
    requirements = version.environment.requirements
    if requirements.artifact is not None:
        return requirements.artifact.sha256
    return hashlib.sha256((requirements.text or "").encode()).hexdigest()


def _order_of(program: Program, version: Version, lock: Payload | None) -> BuildVersion:
    run = domain.run_spec(program, version)
    if run.environment is not None and run.environment.lock is None and lock is not None:
        run = run.model_copy(update={"environment": run.environment.model_copy(update={"lock": lock})})
    return BuildVersion(run=run)
