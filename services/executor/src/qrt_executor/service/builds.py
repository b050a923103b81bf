"""Builds versions ahead of their jobs: each order ends with a `VersionBuilt`, on this executor or another."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from qrt_chassis.bus.port import Bus
from qrt_chassis.logging import bind
from qrt_contracts.endings import Ending, ended
from qrt_contracts.events import BuildVersion, VersionBuilt
from qrt_contracts.faults import Problem, RuntimeFault, Unavailable
from qrt_contracts.values import LimitOverrides, Payload, ProgramKind, RunSpec
from qrt_executor.domain.limits import within
from qrt_executor.ports import (
    BuildFailed,
    Built,
    Bundles,
    BundleUnusable,
    Order,
    Payloads,
    SandboxUnavailable,
    VersionBuilder,
)
from qrt_executor.service.outputs import publish_for_ever
from qrt_executor.service.packages import wanted_packages
from qrt_executor.service.patience import patiently
from qrt_executor.service.progress import Progress

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Builds of one kind of program that an executor carries out at a time; the others wait in the queue."""
WHOLE_SECONDS = 1620.0
"""The longest that an order is held unacknowledged: a broker takes it back after 30 minutes."""
_PATIENCE_SECONDS = 60.0
"""How long there may be no sandbox."""
_ASK_AGAIN_SECONDS = 1.0

Clock = Callable[[], datetime]


class Builds:
    """The use case of `BuildVersion`. `stop` gives back what is being built."""

    def __init__(
        self,
        builders: Mapping[ProgramKind, VersionBuilder],
        *,
        bus: Bus,
        bundles: Bundles,
        payloads: Payloads,
        ceilings: LimitOverrides,
        clock: Clock,
    ) -> None:
        self._builders = builders
        self._bus = bus
        self._bundles = bundles
        self._payloads = payloads
        self._ceilings = ceilings
        self._clock = clock
        self._running: set[asyncio.Task[VersionBuilt]] = set()
        self._stopping = False

    @property
    def kinds(self) -> tuple[ProgramKind, ...]:
        """Programs whose versions can be built here."""
        return tuple(self._builders)

    async def build(self, order: BuildVersion) -> None:
        """Build a version and publish how that ended. May be repeated.

        Raises:
            Unavailable: the executor stops; the order is another one's.
        """
        if self._stopping:
            raise Unavailable("the executor is stopping")
        with bind(program_id=order.run.program_id, version=order.run.version):
            task = asyncio.ensure_future(self._built(order.run))
            self._running.add(task)
            try:
                await asyncio.wait({task})
            finally:
                self._running.discard(task)
                task.cancel()
            if task.cancelled():
                raise Unavailable("the executor stopped before the build had ended")
            await publish_for_ever(self._bus, task.result())

    async def stop(self) -> None:
        """End what is being built and take no more."""
        self._stopping = True
        running = tuple(self._running)
        for task in running:
            task.cancel("the executor stops")
        await asyncio.gather(*running, return_exceptions=True)

    async def _built(self, run: RunSpec) -> VersionBuilt:
        started = self._clock()
        progress = Progress(self._bus, program_id=run.program_id, version=run.version)
        async with asyncio.TaskGroup() as group:
            group.create_task(progress.publish_all())
            progress.say(f"Building version {run.version} of {run.program_name}")
            result = await self._result(run, progress)
            if isinstance(result, Problem):
                progress.say(f"The build has failed: {result.detail.partition(chr(10))[0]}")
            progress.close()
        made = Built() if isinstance(result, Problem) else result
        return VersionBuilt(
            program_id=run.program_id,
            version=run.version,
            problem=result if isinstance(result, Problem) else None,
            lock=None if made.lock is None else await self._wrapped(json.dumps(made.lock)),
            signature=None if made.signature is None else await self._wrapped(made.signature),
            image=made.image,
            last_line=progress.last_line,
            started_at=started,
            ended_at=self._clock(),
        )

    async def _result(self, run: RunSpec, progress: Progress) -> Built | Problem:
        """Build; whatever goes wrong is a problem that its owner can read."""
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                return await self._when_it_can(await self._order(run), progress)
        except BuildFailed as exc:
            return ended(Ending.BUILD_FAILED, exc.detail, retryable=exc.retryable)
        except TimeoutError:
            reason = f"it was not done after {WHOLE_SECONDS:g} seconds"
            return ended(Ending.BUILD_FAILED, reason, retryable=True)
        except (SandboxUnavailable, BundleUnusable, RuntimeFault) as exc:
            log.warning("a version cannot be built: %s", exc)
            return ended(Ending.BUILD_FAILED, f"no executor could build it: {exc}", retryable=True)
        except Exception:  # the runner of builds: each must end in a report
            log.exception("a build failed on the executor's side")
            reason = "the executor failed; its log has the details"
            return ended(Ending.BUILD_FAILED, reason, retryable=True)

    async def _when_it_can(self, order: Order, progress: Progress) -> Built:
        """Build as soon as there are sandboxes: an executor takes orders before it has seen if they work."""
        until = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while True:
            try:
                return await self._builders[order.kind].build(order, say=progress.say)
            except SandboxUnavailable:
                if asyncio.get_running_loop().time() > until:
                    raise
            await asyncio.sleep(_ASK_AGAIN_SECONDS)

    async def _order(self, run: RunSpec) -> Order:
        return Order(
            source=b"" if run.image else await patiently(lambda: self._bundles.source(run.bundle)),
            input="null",
            backend=None,
            limits=within(run.limits, self._ceilings, declared=run.resources),
            kind=run.kind,
            attempt=f"{run.program_id}-v{run.version}",
            bundle=run.bundle.sha256,
            image=run.image,
            resources=run.resources,
            packages=await wanted_packages(run, self._payloads),
        )

    async def _wrapped(self, text: str) -> Payload:
        return await patiently(lambda: self._payloads.wrap(text))
