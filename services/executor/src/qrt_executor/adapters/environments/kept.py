"""Environments on the disk, made when somebody needs one: `ports.Environments`."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from qrt_chassis.bounded import Bounded
from qrt_chassis.tasks import Tasks
from qrt_executor import metrics
from qrt_executor.adapters.environments.builder import Builder
from qrt_executor.adapters.environments.directory import Directory
from qrt_executor.adapters.environments.sandbox import LimitReached
from qrt_executor.adapters.environments.source import PackageSource
from qrt_executor.domain import blame
from qrt_executor.domain.packages import (
    NotAllowed,
    NotALock,
    Wanted,
    check_lock,
    check_requirements,
    lock_key,
    names_of,
)
from qrt_executor.ports import BuildFailed, Environment, Remark

log = logging.getLogger(__name__)


_FAILURE_SECONDS = 60.0
"""How long a failed build is not tried again; one whose index was away is tried at once."""
_REMEMBERED = 256
_RESOLVED_SECONDS = 600.0
_LOG_LINES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the operator lets in, and how long a build may take."""

    seconds: float
    total_bytes: int
    allowed: frozenset[str] | None = None
    """Normalised names; None is every package."""


@dataclass(slots=True)
class _Flight:
    """One build that several wait for."""

    task: asyncio.Task[None]
    waiting: int = 0
    ended: BuildFailed | None = None
    lock: tuple[str, ...] = ()
    lines: list[str] = field(default_factory=list)
    listeners: list[Remark] = field(default_factory=list)

    def say(self, line: str) -> None:
        if len(self.lines) < _LOG_LINES:
            self.lines.append(line)
        for listener in self.listeners:
            listener(line)


class KeptEnvironments:
    """`ports.Environments`. `close` ends the builds that still run."""

    def __init__(
        self,
        builder: Builder,
        *,
        directory: Directory,
        source: PackageSource,
        rules: Rules,
        jailed: Callable[[], bool],
    ) -> None:
        self._builder = builder
        self._directory = directory
        self._source = source
        self._rules = rules
        self._jailed = jailed
        self._tasks = Tasks("builds")
        self._flights: dict[str, _Flight] = {}
        self._failures: Bounded[str, tuple[float, BuildFailed]] = Bounded(_REMEMBERED)
        self._resolved: Bounded[str, tuple[float, tuple[str, ...]]] = Bounded(_REMEMBERED)

    @asynccontextmanager
    async def hold(self, wanted: Wanted, *, say: Remark) -> AsyncIterator[Environment]:
        """Have an environment while the context lasts, making it first if it is not there.

        Raises:
            BuildFailed: it cannot be made.
        """
        self._check(wanted)
        while True:
            lock = wanted.lock or self._known(wanted)
            if lock is not None:
                key = lock_key(lock)
                async with self._directory.held(key, alone=False):
                    if self._directory.is_complete(key):
                        metrics.ENVIRONMENT_LOOKUPS.labels("hit").inc()
                        self._directory.touch(key)
                        yield Environment(key=key, lock=lock, path=self._directory.ready(key))
                        return
            await self._built(wanted, say)

    @asynccontextmanager
    async def held(self, environment: Environment) -> AsyncIterator[None]:
        """Keep an environment that the caller holds already from being removed, for longer."""
        async with self._directory.held(environment.key, alone=False):
            yield

    async def make_room(self) -> None:
        """Remove what is unused and too much."""
        size = await asyncio.to_thread(self._directory.make_room, self._rules.total_bytes)
        metrics.ENVIRONMENT_BYTES.set(size)

    async def close(self) -> None:
        """End all builds."""
        await self._tasks.close()

    # --- what is known ----------------------------------------------------------------------------

    def _check(self, wanted: Wanted) -> None:
        try:
            check_requirements(wanted.requirements, allowed=self._rules.allowed)
            if wanted.lock is not None:
                check_lock(wanted.lock, allowed=self._rules.allowed)
        except (NotAllowed, NotALock) as exc:
            raise BuildFailed(str(exc)) from None
        until, failure = self._failures.get(wanted.digest, (0.0, None))
        if failure is not None and time.monotonic() < until:
            raise failure

    def _known(self, wanted: Wanted) -> tuple[str, ...] | None:
        until, lock = self._resolved.get(wanted.digest, (0.0, None))
        return lock if time.monotonic() < until else None

    # --- builds -----------------------------------------------------------------------------------

    async def _built(self, wanted: Wanted, say: Remark) -> None:
        """Return once the environment has been made, by us or by whoever was asked before us."""
        flight = self._flights.get(wanted.digest)
        if flight is None:
            flight = self._begin(wanted)
        for line in flight.lines:
            say(line)
        flight.listeners.append(say)
        flight.waiting += 1
        try:
            await asyncio.wait({flight.task})
        finally:
            flight.listeners.remove(say)
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                flight.task.cancel("nobody waits for the build any more")
                self._flights.pop(wanted.digest, None)
        if flight.ended is not None:
            raise flight.ended
        if flight.task.cancelled():
            raise BuildFailed("the executor stopped while it built the environment", retryable=True)

    def _begin(self, wanted: Wanted) -> _Flight:
        started = asyncio.Event()

        async def fly() -> None:
            await started.wait()
            try:
                await self._build(wanted, flight)
            finally:
                if self._flights.get(wanted.digest) is flight:
                    del self._flights[wanted.digest]

        flight = _Flight(self._tasks.start(fly(), name=wanted.digest[:12]))
        self._flights[wanted.digest] = flight
        started.set()
        return flight

    async def _build(self, wanted: Wanted, flight: _Flight) -> None:
        began = time.monotonic()
        say = self._redacting(flight, wanted)
        try:
            async with asyncio.timeout(self._rules.seconds):
                await self._make(wanted, say)
            metrics.BUILDS.labels("made").inc()
        except TimeoutError:
            reason = f"it took longer than the limit of {self._rules.seconds:g} seconds"
            flight.ended = self._remembered(wanted, _stopped(reason, flight))
        except LimitReached as exc:
            flight.ended = self._remembered(wanted, _stopped(str(exc), flight))
        except BuildFailed as failure:
            flight.ended = self._remembered(wanted, self._presentable(failure, flight, wanted))
        except OSError as exc:
            log.exception("an environment cannot be made on this host")
            flight.ended = BuildFailed(f"the executor cannot keep it: {exc.strerror}", retryable=True)
        finally:
            metrics.BUILD_SECONDS.observe(time.monotonic() - began)
            if flight.ended is not None:
                metrics.BUILDS.labels("failed").inc()

    async def _make(self, wanted: Wanted, say: Remark) -> None:
        jailed = self._jailed()
        lock = wanted.lock or self._known(wanted)
        if lock is None:
            name = wanted.digest
            async with self._directory.held(name, alone=True):
                lock = await self._builder.lock(wanted.requirements, name=name, say=say, jailed=jailed)
            try:
                check_lock(lock, allowed=self._rules.allowed)
            except NotAllowed as exc:
                raise BuildFailed(str(exc)) from None
            self._resolved[wanted.digest] = (time.monotonic() + _RESOLVED_SECONDS, lock)
        key = lock_key(lock)
        if self._directory.is_complete(key):  # asked without a lock: its users may hold it for hours
            say(_there(lock))
            return
        async with self._directory.held(key, alone=True):
            if self._directory.is_complete(key):
                say(_there(lock))
                return
            metrics.ENVIRONMENT_LOOKUPS.labels("miss").inc()
            await self._builder.install(lock, key, requirements=wanted.requirements, say=say, jailed=jailed)
        await self.make_room()

    def _redacting(self, flight: _Flight, wanted: Wanted) -> Remark:
        def say(text: str) -> None:
            for line in text.splitlines() or [""]:
                flight.say(self._redacted(line, wanted))

        return say

    def _redacted(self, line: str, wanted: Wanted) -> str:
        folder = str(self._directory.root)
        return blame.redacted(line, known=wanted.requirements, hosts=self._source.hosts, folder=folder)

    def _presentable(self, failure: BuildFailed, flight: _Flight, wanted: Wanted) -> BuildFailed:
        """Return a failure that its owner may read: no address, and the end of the log with it."""
        reason = self._redacted(failure.detail, wanted)
        for line in failure.output.splitlines():
            shown = self._redacted(line, wanted)
            if shown and shown not in flight.lines:
                flight.say(shown)
        return BuildFailed(blame.with_tail(reason, flight.lines), retryable=failure.retryable)

    def _remembered(self, wanted: Wanted, failure: BuildFailed) -> BuildFailed:
        if not failure.retryable:
            self._failures[wanted.digest] = (time.monotonic() + _FAILURE_SECONDS, failure)
        return failure


def _there(lock: Sequence[str]) -> str:
    """Tell of what another build of the same packages, here or on an executor beside, has made."""
    return f"The environment is ready, as it was made before: {names_of(lock)}"


def _stopped(reason: str, flight: _Flight) -> BuildFailed:
    during = blame.unfinished(flight.lines)
    return BuildFailed(blame.with_tail(f"the build was ended{during}: {reason}", flight.lines))
