"""All four services in one process: the composition root for one machine."""

import asyncio
import fcntl
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

import qrt_executor.compose
import qrt_gateway.compose
import qrt_registry.compose
import qrt_scheduler.compose
from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.lifecycle import Service
from qrt_chassis.settings import BusSettings, HealthSettings, MongoSettings
from qrt_executor.settings import ExecutorSettings
from qrt_gateway.settings import GatewaySettings
from qrt_registry.settings import RegistrySettings
from qrt_scheduler.settings import SchedulerSettings
from qrt_standalone.embedded import embedded_mongo
from qrt_standalone.settings import StandaloneSettings, own_key, own_token

log = logging.getLogger(__name__)

NO_HEALTH = HealthSettings(port=0)
MEMORY = BusSettings(url=SecretStr("memory://"))
OWNER = "me"
"""The account of whoever starts it, an administrator."""
EXECUTOR_NAME = "standalone"
"""Stable, so that a restarted runtime recognises at once what the killed one was running."""


class AlreadyRunningError(Exception):
    """Another runtime uses the same data directory."""


@dataclass(frozen=True, slots=True)
class Standalone:
    """A composed single-machine runtime; its services still have to be served."""

    services: tuple[Service, ...]
    url: str
    token: str


@asynccontextmanager
async def compose(settings: StandaloneSettings) -> AsyncIterator[Standalone]:
    """Build all four services on the memory bus and the embedded database.

    Raises:
        AlreadyRunningError: the data directory is in use.
        EmbeddedDatabaseError: the embedded database is missing or does not start.
    """
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as stack:
        stack.enter_context(_only_one(settings.data / "lock"))
        token = own_token(settings)
        url = settings.mongo_url
        if url is None:
            url = await stack.enter_async_context(embedded_mongo(settings.data / "db"))
        mongo = MongoSettings(url=SecretStr(url))
        bus = MemoryBus()
        stack.push_async_callback(bus.close)
        registry = RegistrySettings(bus=MEMORY, mongo=mongo, health=NO_HEALTH)
        scheduler = SchedulerSettings(bus=MEMORY, mongo=mongo, health=NO_HEALTH)
        services = (
            await stack.enter_async_context(qrt_registry.compose.compose(registry, bus=bus)),
            await stack.enter_async_context(qrt_scheduler.compose.compose(scheduler, bus=bus)),
            await stack.enter_async_context(
                qrt_executor.compose.compose(_executor(settings, mongo), bus=bus)
            ),
            await stack.enter_async_context(
                qrt_gateway.compose.compose(_gateway(settings, mongo, token), bus=bus)
            ),
        )
        yield Standalone(services, f"http://{settings.host}:{settings.port}", token)


def _executor(settings: StandaloneSettings, mongo: MongoSettings) -> ExecutorSettings:
    return ExecutorSettings(
        bus=MEMORY,
        mongo=mongo,
        health=NO_HEALTH,
        name=EXECUTOR_NAME,
        slots=settings.slots or os.cpu_count() or 1,
        program_python=settings.program_python,
        environments=settings.data / "environments",
        index_url=settings.index_url,
        wheels=settings.wheels,
        allow_packages=settings.allow_packages,
        unsafe_process=True,
        sealing_keys=own_key(settings),
        quafu_url=settings.quafu_url,
        engine=settings.engine,
        engine_owner=f"{EXECUTOR_NAME}-{hashlib.sha256(os.fsencode(settings.data.resolve())).hexdigest()[:12]}",
    )


def _gateway(settings: StandaloneSettings, mongo: MongoSettings, token: str) -> GatewaySettings:
    return GatewaySettings(
        bus=MEMORY,
        mongo=mongo,
        health=NO_HEALTH,
        host=settings.host,
        port=settings.port,
        bootstrap_tokens=SecretStr(f"{OWNER}={token}"),
        public_url=settings.public_url,
        any_bearer=settings.any_token,
        webhook_networks=settings.webhook_networks,
        sealing_keys=own_key(settings),
    )


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(
                f"another runtime is using {lock.parent}; stop it, or choose another --data directory"
            ) from None
        yield


async def wait_until_reachable(host: str, port: int, *, within: float = 30) -> None:
    """Return once the gateway takes connections."""
    async with asyncio.timeout(within):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
