"""Composed services, running inside the test's own process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qrt_chassis.lifecycle import Service, serve
from qrt_chassis.settings import HealthSettings


@asynccontextmanager
async def running(*services: Service) -> AsyncIterator[None]:
    """Run the services' loops inside the context; end them in order after it."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(services, health=HealthSettings(port=0), stop=stop))
        try:
            yield
        finally:
            stop.set()
