"""Today's services on what an earlier release has left behind."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.port import Bus
from qrt_chassis.lifecycle import Service
from qrt_chassis.settings import BusSettings, HealthSettings, MongoSettings
from qrt_executor.compose import compose as compose_executor
from qrt_executor.settings import ExecutorSettings
from qrt_gateway.compose import Gateway
from qrt_gateway.compose import compose as compose_gateway
from qrt_gateway.settings import GatewaySettings
from qrt_registry.compose import compose as compose_registry
from qrt_registry.settings import RegistrySettings
from qrt_scheduler.compose import compose as compose_scheduler
from qrt_scheduler.settings import SchedulerSettings
from tests.support.composed import running
from tests.support.waiting import wait_until
from tests.support.wheels import PYDANTIC, installed
from tests.system.client import Api
from tests.system.composition import LOOPBACK, PROGRAM_PYTHON
from tests.upgrade import recording
from tests.upgrade.making import SLOTS
from tests.upgrade.recording import Recording

OFF = HealthSettings(port=0)
MEMORY = BusSettings(url=SecretStr("memory://"))
LEASE_SECONDS = 600
"""A recorded executor beats once, and must not be taken for dead on a slow machine."""
FOR_EVER_DAYS = 36_500
"""Recordings grow old; what is in them is not to be forgotten for that."""


@dataclass
class Upgraded:
    """Services of today that run on a recording's databases."""

    recording: Recording
    mongo: MongoSettings
    gateway: Gateway
    stack: AsyncExitStack
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        return self.recording.facts

    @property
    def jobs(self) -> dict[str, str]:
        found: dict[str, str] = self.facts["jobs"]
        return found

    @property
    def programs(self) -> dict[str, str]:
        found: dict[str, str] = self.facts["programs"]
        return found

    @property
    def alice(self) -> Api:
        return Api(self.clients["alice"])

    async def with_token(self, token: str) -> httpx.AsyncClient:
        """Return a client with a token of the recording."""
        headers = {"Authorization": f"Bearer {token}"}
        client = httpx.AsyncClient(base_url=self.gateway.url, headers=headers, timeout=60)
        return await self.stack.enter_async_context(client)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a directory that the programs' user can reach."""
    with tempfile.TemporaryDirectory(prefix="qrt-upgrade-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def packages() -> Iterator[Path]:
    """Yield a folder of the packages that every project needs."""
    with open_folder() as folder:
        installed(folder, *PYDANTIC)
        yield folder


def executor_settings(
    mongo: MongoSettings, bus: BusSettings, facts: dict[str, Any], *, folder: Path, wheels: Path
) -> ExecutorSettings:
    """Return the settings of an executor with the name that the recorded one had."""
    return ExecutorSettings(
        bus=bus,
        mongo=mongo,
        health=OFF,
        name="executor-1",
        slots=SLOTS,
        program_python=PROGRAM_PYTHON,
        unsafe_process=True,
        scratch=folder,
        environments=folder / "environments",
        wheels=wheels,
        grace_seconds=0.5,
        drain_seconds=0.5,
        heartbeat_seconds=0.5,
        sealing_keys=facts["sealing_key"],
    )


@asynccontextmanager
async def upgraded(
    version: str, mongo_url: str, *, bus: BusSettings = MEMORY, executor: tuple[Path, Path] | None = None
) -> AsyncIterator[Upgraded]:
    """Run today's services on the databases of a release.

    Args:
        version: of the recording.
        mongo_url: a server; the databases get a prefix of their own.
        bus: where a broker is, unless all are to share one bus in memory.
        executor: folders for its things and of its packages; without them there is no executor.
    """
    recorded = recording.read(version)
    mongo = MongoSettings(
        url=SecretStr(mongo_url), prefix=f"up{version.replace('.', '')}_{os.urandom(3).hex()}_"
    )
    await asyncio.to_thread(recording.load, recorded.databases, mongo_url, prefix=mongo.prefix)
    async with AsyncExitStack() as stack:
        shared: Bus | None = None
        if bus is MEMORY:
            shared = memory = MemoryBus()
            stack.push_async_callback(memory.close)
        services = await _composed(stack, mongo, bus, shared, recorded.facts, executor)
        gateway = services[0]
        assert isinstance(gateway, Gateway)
        await stack.enter_async_context(running(*services))
        whole = Upgraded(recorded, mongo, gateway, stack)
        for name, token in recorded.facts["tokens"].items():
            whole.clients[name] = await whole.with_token(token)
        await wait_until(lambda: _answers(whole), description="the gateway answers", seconds=30)
        yield whole


async def _composed(
    stack: AsyncExitStack,
    mongo: MongoSettings,
    bus: BusSettings,
    shared: Bus | None,
    facts: dict[str, Any],
    executor: tuple[Path, Path] | None,
) -> list[Service]:
    registry = RegistrySettings(bus=bus, mongo=mongo, health=OFF)
    scheduler = SchedulerSettings(
        bus=bus, mongo=mongo, health=OFF, keep_days=FOR_EVER_DAYS, lease_seconds=LEASE_SECONDS
    )
    gateway = GatewaySettings(
        bus=bus,
        mongo=mongo,
        health=OFF,
        port=0,
        audit_days=3650,
        webhook_networks=(LOOPBACK,),
        sealing_keys=facts["sealing_key"],
    )
    services: list[Service] = [
        await stack.enter_async_context(compose_gateway(gateway, bus=shared)),
        await stack.enter_async_context(compose_registry(registry, bus=shared)),
        await stack.enter_async_context(compose_scheduler(scheduler, bus=shared)),
    ]
    if executor is not None:
        folder, wheels = executor
        settings = executor_settings(mongo, bus, facts, folder=folder, wheels=wheels)
        services.append(await stack.enter_async_context(compose_executor(settings, bus=shared)))
    return services


async def _answers(whole: Upgraded) -> bool:
    """Tell whether the gateway, the registry and the scheduler answer."""
    try:
        replies = [await whole.clients["alice"].get(path) for path in ("/v1/programs", "/v1/jobs")]
    except httpx.TransportError:
        return False
    return all(reply.is_success for reply in replies)
