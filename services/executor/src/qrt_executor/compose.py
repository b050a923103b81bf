"""The executor on real adapters."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx

from qrt_chassis.artifacts import ArtifactStore
from qrt_chassis.bus.open import open_bus
from qrt_chassis.bus.port import Bus, Subscribed
from qrt_chassis.lifecycle import Loop, Service
from qrt_chassis.sealing import Seal
from qrt_chassis.store import open_store
from qrt_contracts.ids import new_id
from qrt_contracts.values import Isolation, LimitOverrides, Limits, ProgramKind
from qrt_executor import handlers
from qrt_executor.adapters.backends.quafu_cloud import TIMEOUT, QuafuCloud
from qrt_executor.adapters.backends.simulator import Simulator
from qrt_executor.adapters.bundles import CachedBundles
from qrt_executor.adapters.cgroups import find_cgroups
from qrt_executor.adapters.containers.blueprint import Standing
from qrt_executor.adapters.containers.builds import BuildRules
from qrt_executor.adapters.containers.workshop import ContainerWorkshop, Site
from qrt_executor.adapters.environment import probe
from qrt_executor.adapters.environments.builder import Builder
from qrt_executor.adapters.environments.directory import Directory
from qrt_executor.adapters.environments.kept import KeptEnvironments, Rules
from qrt_executor.adapters.environments.pools import EnvironmentPools
from qrt_executor.adapters.environments.sandbox import BuildSandbox
from qrt_executor.adapters.environments.sandbox import Limits as BuildLimits
from qrt_executor.adapters.environments.source import package_source
from qrt_executor.adapters.pool import Station, ZygotePool
from qrt_executor.domain.backends import SIMULATOR
from qrt_executor.domain.packages import normalised
from qrt_executor.ports import VersionBuilder, Workshop
from qrt_executor.service.backends import Backends
from qrt_executor.service.build_orders import BuildOrders
from qrt_executor.service.builds import Builds
from qrt_executor.service.executor import Executor, Identity, Policy
from qrt_executor.service.heartbeat import Heart
from qrt_executor.service.template_builds import TemplateBuilder
from qrt_executor.service.workshops import Workshops
from qrt_executor.settings import ExecutorSettings

PARTING_SECONDS = 15.0
"""After the last attempt was told to end: SIGKILL, reports, the last heartbeat."""


def utc_now() -> datetime:
    """Return the present time, aware."""
    return datetime.now(UTC)


@asynccontextmanager
async def compose(
    settings: ExecutorSettings,
    *,
    bus: Bus | None = None,
    clock: Callable[[], datetime] = utc_now,
    levels: tuple[Isolation, ...] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> AsyncIterator[Service]:
    """Build the executor; leaving the context releases everything in reverse order.

    `levels` are the isolation levels to try, strongest first, in place of what the settings allow. Of
    `environ` builds are told how packages are found, where the settings say nothing.
    """
    identity = Identity(name=settings.name, incarnation=new_id())
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings.mongo))
        if bus is None:
            bus = await stack.enter_async_context(open_bus(settings.bus, name=f"executor {settings.name}"))
        artifacts = ArtifactStore(store)
        cloud = await stack.enter_async_context(_cloud(settings))
        station = _station(settings, levels or _levels(settings))
        pool = ZygotePool(station, depth=2 * settings.slots)
        environments = _environments(settings, station, pool, environ)
        stack.push_async_callback(environments.close)
        templates = EnvironmentPools(
            pool, station, environments, most=settings.warm_environments, depth=settings.slots
        )
        workshops: dict[ProgramKind, Workshop] = {ProgramKind.QUAFU: pool, ProgramKind.TEMPLATE: templates}
        builders: dict[ProgramKind, VersionBuilder] = {
            ProgramKind.TEMPLATE: TemplateBuilder(templates, environments, payloads=artifacts)
        }
        loops: dict[str, Loop] = {"zygote": pool.run, "environments": templates.run}
        if cloud is not None:
            loops["quafu"] = cloud.run
        if settings.engine is not None:
            workshops[ProgramKind.CONTAINER] = engine = ContainerWorkshop(_site(settings, identity))
            builders[ProgramKind.CONTAINER] = engine
            loops["engine"] = engine.run
        bundles = CachedBundles(artifacts, capacity_bytes=settings.bundle_cache_bytes)
        executor = Executor(
            identity=identity,
            policy=_policy(settings),
            bus=bus,
            workshops=Workshops(workshops),
            bundles=bundles,
            payloads=artifacts,
            clock=clock,
            backends=Backends({SIMULATOR: Simulator(pool)}, cloud=cloud),
            seal=Seal(settings.sealing_keys) if settings.sealing_keys else None,
            warm_environments=lambda: templates.warm,
        )
        stack.push_async_callback(executor.close)
        heart = Heart(executor, bus, interval=timedelta(seconds=settings.heartbeat_seconds))
        builds = Builds(
            builders,
            bus=bus,
            bundles=bundles,
            payloads=artifacts,
            ceilings=_policy(settings).ceilings,
            clock=clock,
        )

        async def subscribe_to_builds() -> list[Subscribed]:
            return [
                await bus.subscribe(handlers.builds_subscription(kind), handlers.build_orders(builds))
                for kind in builds.kinds
            ]

        building = BuildOrders(subscribe_to_builds)
        await building.take()
        stack.push_async_callback(building.close)
        stack.push_async_callback(builds.stop)
        orders = handlers.orders(executor, building)
        subscribed = await bus.subscribe(handlers.subscription(identity), orders)
        stack.push_async_callback(subscribed.cancel)
        yield Service(
            name="executor",
            loops={**loops, "heartbeat": heart.beat, "build-orders": building.run},
            pings={"bus": bus.ping, "mongo": store.ping, "sandboxes": pool.ping},
            drain=lambda: _drain(executor, heart, subscribed, builds, building),
            grace=timedelta(seconds=settings.drain_seconds + settings.grace_seconds + PARTING_SECONDS),
        )


async def _drain(
    executor: Executor, heart: Heart, subscribed: Subscribed, builds: Builds, building: BuildOrders
) -> None:
    # Builds go back to their queue at once, for another executor: none of them is worth a wait.
    await asyncio.gather(builds.stop(), building.close())
    await executor.drain()
    await subscribed.cancel()
    await heart.leave()


@asynccontextmanager
async def _cloud(settings: ExecutorSettings) -> AsyncIterator[QuafuCloud | None]:
    if settings.quafu_url is None:
        yield None
        return
    async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as http:
        yield QuafuCloud(
            http,
            settings.quafu_url,
            token=settings.quafu_token.get_secret_value() if settings.quafu_token else None,
            wait_seconds=settings.quafu_wait_seconds,
        )


def _policy(settings: ExecutorSettings) -> Policy:
    return Policy(
        slots=settings.slots,
        ceilings=LimitOverrides(**settings.ceiling.model_dump()),
        grace=timedelta(seconds=settings.grace_seconds),
        network_programs=settings.allow_network_programs,
        drain=timedelta(seconds=settings.drain_seconds),
        cpus=settings.cpus,
        memory_bytes=settings.memory_bytes,
        gpus=settings.gpus,
        gpu_type=settings.gpu_type,
    )


def _site(settings: ExecutorSettings, identity: Identity) -> Site:
    user = f"{settings.service_uid}:{settings.service_uid}"
    share = max(1.0, settings.cpus / settings.slots)
    return Site(
        socket=(settings.engine or "").removeprefix("unix://"),
        executor=settings.engine_owner or identity.name,
        incarnation=identity.incarnation,
        scratch=settings.scratch,
        standing=Standing(
            user=user if settings.container_user == "service" else None, cpus=share, most_cpus=settings.cpus
        ),
        rules=BuildRules(
            pull=settings.pull_images,
            network=settings.build_network,
            seconds=settings.build_seconds,
            memory_bytes=settings.build_memory_bytes,
            cpus=share,
            image_bytes=settings.image_bytes,
        ),
        image_cache_bytes=settings.image_cache_bytes,
    )


def _environments(
    settings: ExecutorSettings, station: Station, pool: ZygotePool, environ: Mapping[str, str]
) -> KeptEnvironments:
    index = settings.index_url
    source = package_source(
        index_url=None if index is None else index.get_secret_value(),
        wheels=settings.wheels,
        environ=environ,
        hosts=settings.build_hosts,
        copies=settings.environments if station.give_away else None,
    )
    base = station.environment
    user = station.user if station.give_away else None
    directory = Directory(settings.environments, tag=base.tag, user=user)
    directory.prepare()
    sandbox = BuildSandbox(
        base,
        user=station.user,
        limits=BuildLimits(memory_bytes=settings.build_memory_bytes, disk_bytes=settings.build_bytes),
    )
    return KeptEnvironments(
        Builder(base, directory=directory, sandbox=sandbox, source=source),
        directory=directory,
        source=source,
        rules=Rules(
            seconds=settings.build_seconds,
            total_bytes=settings.environments_bytes,
            allowed=frozenset(map(normalised, settings.allow_packages)) or None,
        ),
        jailed=lambda: pool.isolation is Isolation.JAIL,
    )


def _levels(settings: ExecutorSettings) -> tuple[Isolation, ...]:
    """Return what the operator allows, strongest first; `process` only by its own switch."""
    if settings.isolation is Isolation.JAIL:
        return (Isolation.JAIL,)
    if settings.isolation is None and settings.unsafe_process:
        return (Isolation.JAIL, Isolation.LANDLOCK, Isolation.PROCESS)
    return (Isolation.JAIL, Isolation.LANDLOCK)


def _station(settings: ExecutorSettings, levels: tuple[Isolation, ...]) -> Station:
    root = os.geteuid() == 0
    user = (settings.service_uid, settings.service_uid) if root else (os.geteuid(), os.getegid())
    ceiling = settings.ceiling.disk_bytes
    default = Limits().disk_bytes
    return Station(
        environment=probe(settings.program_python),
        levels=levels,
        scratch=settings.scratch,
        user=user,
        give_away=root,
        cgroups=find_cgroups(),
        network=bool(settings.allow_network_programs),
        disk_bytes=default if ceiling is None else min(default, ceiling),
    )
