"""The registry on real adapters."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from qrt_chassis.artifacts import ArtifactStore
from qrt_chassis.bus.open import open_bus
from qrt_chassis.bus.port import Bus
from qrt_chassis.lifecycle import Service
from qrt_chassis.store import open_store
from qrt_registry import handlers
from qrt_registry.adapters.inspector import ChildInspector
from qrt_registry.adapters.mongo import MongoPrograms
from qrt_registry.adapters.mongo_builds import MongoBuilds
from qrt_registry.builds import Builds
from qrt_registry.intake import Intake
from qrt_registry.ports import Clock
from qrt_registry.service import Registry
from qrt_registry.settings import RegistrySettings

log = logging.getLogger(__name__)

SWEEP_SECONDS = 300.0
"""How often uploads that nobody has accepted are looked for."""


def utc_now() -> datetime:
    """Return the present time, aware."""
    return datetime.now(UTC)


@asynccontextmanager
async def compose(
    settings: RegistrySettings, *, bus: Bus | None = None, clock: Clock = utc_now
) -> AsyncIterator[Service]:
    """Build one registry replica; leaving the context releases everything in reverse order."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings.mongo))
        if bus is None:
            bus = await stack.enter_async_context(open_bus(settings.bus, name="registry"))
        programs, artifacts, kept = MongoPrograms(store), ArtifactStore(store), MongoBuilds(store)
        builds = Builds(bus=bus, programs=programs, store=kept, bundles=artifacts, clock=clock)
        registry = Registry(
            programs=programs,
            bundles=artifacts,
            intake=Intake(
                bundles=artifacts,
                inspector=ChildInspector(max_unpacked_bytes=settings.max_unpacked_bytes),
                max_source_bytes=settings.max_source_bytes,
                max_project_bytes=settings.max_project_bytes,
            ),
            builds=builds,
            clock=clock,
            max_source_bytes=settings.max_source_bytes,
        )
        yield Service(
            name="registry",
            loops={
                "commands": partial(_answer, bus, registry, programs),
                "build-orders": builds.run,
                "build-events": partial(_hear, bus, builds, kept),
                "uploads": partial(_sweep, artifacts),
            },
            pings={"bus": bus.ping, "mongo": store.ping},
        )


async def _sweep(artifacts: ArtifactStore) -> None:
    """Remove what was uploaded and refused, some time after."""
    while True:
        if gone := await artifacts.sweep():
            log.info("removed %d uploads that made no version", gone)
        await asyncio.sleep(SWEEP_SECONDS)


async def _answer(bus: Bus, registry: Registry, programs: MongoPrograms) -> None:
    """Answer commands once the indexes stand: one of them is what keeps names unique."""
    await programs.prepare()
    subscribed = await bus.serve("registry", handlers.commands(registry))
    try:
        await asyncio.Event().wait()
    finally:
        await subscribed.cancel()


async def _hear(bus: Bus, builds: Builds, kept: MongoBuilds) -> None:
    """Take in what executors say of builds."""
    await kept.prepare()
    subscribed = await bus.subscribe(handlers.BUILDS, handlers.builds(builds))
    try:
        await asyncio.Event().wait()
    finally:
        await subscribed.cancel()
