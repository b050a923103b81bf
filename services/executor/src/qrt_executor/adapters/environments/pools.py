"""Warm sandboxes for programs with packages of their own: a pool for each environment in use."""

import asyncio
import json
import logging
import time
import weakref
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from qrt_chassis.loops import run_for_ever
from qrt_chassis.tasks import Tasks
from qrt_contracts.values import Isolation, Limits, environment_key
from qrt_executor import metrics
from qrt_executor.adapters.environments.kept import KeptEnvironments
from qrt_executor.adapters.pool import Station, ZygotePool
from qrt_executor.ports import Environment, Order, Remark, Sandbox, Sandboxes

log = logging.getLogger(__name__)

_LOOK_SECONDS = 15.0
_IDLE_SECONDS = 600.0
_ROOM_SECONDS = 300.0

Clock = Callable[[], float]


class EnvironmentPools:
    """`ports.Workshop`: programs without packages of their own get the base pool's sandboxes.

    At most `most` environments are warm at once, unless more are in use; the least recently used goes.
    """

    def __init__(
        self,
        base: ZygotePool,
        station: Station,
        environments: KeptEnvironments,
        *,
        most: int,
        depth: int,
        clock: Clock = time.monotonic,
    ) -> None:
        self._base = base
        self._station = station
        self._environments = environments
        self._most = most
        self._depth = depth
        self._clock = clock
        self._warm: dict[str, _Warm] = {}
        self._starting = asyncio.Lock()
        self._tasks = Tasks("environments")

    @property
    def isolation(self) -> Isolation:
        """The level every sandbox has."""
        return self._base.isolation

    @property
    def ready(self) -> bool:
        """The base pool serves; environments are made when they are asked for."""
        return self._base.ready

    @property
    def tried(self) -> bool:
        """It is known whether the base pool serves."""
        return self._base.tried

    @property
    def warm(self) -> tuple[str, ...]:
        """Keys of the environments in which a job starts at once, as versions' locks tell them."""
        return tuple(warm.told for warm in self._warm.values() if warm.pool.ready)

    async def prepare(self, order: Order, *, remark: Remark) -> Sandboxes:
        """Have the order's environment made and warm; return where its sandboxes come from.

        Raises:
            BuildFailed: it cannot be made.
        """
        if order.packages is None:
            return self._base
        async with self._environments.hold(
            order.packages, say=lambda line: remark(f"build: {line}")
        ) as environment:
            async with self._starting:
                warm = self._warm.get(environment.key) or await self._start(environment)
            return warm.room(self._clock())

    async def run(self) -> None:
        """Let go of what is idle, and keep the disk within its limit, until cancelled."""
        looked = -_ROOM_SECONDS
        try:
            while True:
                if self._clock() - looked > _ROOM_SECONDS:
                    looked = self._clock()
                    await self._environments.make_room()
                for warm in self._idle(longer_than=_IDLE_SECONDS):
                    self._retire(warm)
                metrics.WARM_ENVIRONMENTS.set(len(self.warm))
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for warm in tuple(self._warm.values()):
                self._retire(warm)
            await self._tasks.done()

    # --- which are warm ---------------------------------------------------------------------------

    async def _start(self, environment: Environment) -> "_Warm":
        stack = AsyncExitStack()
        await stack.enter_async_context(self._environments.held(environment))
        station = replace(
            self._station,
            environment=self._station.environment.with_packages(environment.path),
            levels=(self._base.isolation,),
        )
        pool = ZygotePool(station, depth=self._depth)
        told = environment_key(json.dumps(environment.lock))
        warm = _Warm(environment.key, told, pool, stack, used=self._clock())
        warm.task = self._tasks.start(
            run_for_ever("executor", f"zygote of environment {environment.key[:12]}", pool.run),
            name=f"environment {environment.key[:12]}",
        )
        self._warm[environment.key] = warm
        for idle in self._idle(longer_than=0.0)[: len(self._warm) - self._most]:
            if idle is not warm:
                self._retire(idle)
        return warm

    def _idle(self, *, longer_than: float) -> list["_Warm"]:
        """Return what nobody uses, the longest unused first."""
        now = self._clock()
        idle = [each for each in self._warm.values() if not each.in_use and now - each.used >= longer_than]
        return sorted(idle, key=lambda each: each.used)

    def _retire(self, warm: "_Warm") -> None:
        del self._warm[warm.key]
        log.info("environment %s is warm no longer", warm.key[:12])
        self._tasks.start(warm.end(), name=f"the end of {warm.key[:12]}")


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Warm:
    """A pool of one environment, which is held for as long as the pool runs."""

    key: str
    told: str
    """What heartbeats call it."""
    pool: ZygotePool
    stack: AsyncExitStack
    used: float
    task: "asyncio.Task[None] | None" = None
    rooms: "weakref.WeakSet[_Room]" = field(default_factory=weakref.WeakSet)

    @property
    def in_use(self) -> bool:
        """An attempt has been promised a sandbox, or runs in one."""
        return len(self.rooms) > 0

    def room(self, now: float) -> "_Room":
        self.used = now
        room = _Room(self)
        self.rooms.add(room)
        return room

    async def end(self) -> None:
        if self.task is not None:
            self.task.cancel("the environment is not used")
            await asyncio.gather(self.task, return_exceptions=True)
        await self.stack.aclose()


class _Room:
    """`ports.Sandboxes` for one attempt; while it has it, the pool stays."""

    def __init__(self, warm: _Warm) -> None:
        self._pool = warm.pool

    @property
    def isolation(self) -> Isolation:
        return self._pool.isolation

    @property
    def ready(self) -> bool:
        return self._pool.ready

    async def take(self, limits: Limits, *, network: bool = False) -> Sandbox:
        return await self._pool.take(limits, network=network)

    async def replace_parent(self, sandbox: Sandbox) -> None:
        await self._pool.replace_parent(sandbox)
