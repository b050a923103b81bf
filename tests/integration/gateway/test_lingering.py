"""A gateway that was told to stop, behind a proxy that has not seen it yet."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.lifecycle import Service
from qrt_chassis.settings import MongoSettings
from qrt_contracts.ids import new_id
from qrt_gateway.compose import Gateway, compose
from qrt_gateway.settings import GatewaySettings
from tests.integration.gateway.platform import OFF
from tests.support.composed import running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(mongo_url: str) -> AsyncIterator[Gateway]:
    """A gateway that would linger for longer than any test."""
    mongo = MongoSettings(url=SecretStr(mongo_url), prefix=f"t{new_id()[-12:]}_")
    settings = GatewaySettings(mongo=mongo, health=OFF, port=0, linger_seconds=600)
    async with AsyncExitStack() as stack:
        bus = MemoryBus()
        stack.push_async_callback(bus.close)
        yield await stack.enter_async_context(compose(settings, bus=bus))


async def answers(gateway: Gateway) -> bool:
    """Return whether a new connection is taken and answered."""
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        try:
            return (await client.get("/healthz")).status_code == 200
        except httpx.TransportError:
            return False


def gateway_alone(gateway: Gateway) -> Service:
    """Return what serves HTTP of it, without its way of draining."""
    return Service(name="gateway", loops={"http": gateway.loops["http"]})


async def test_requests_are_taken_while_it_lingers(gateway: Gateway) -> None:
    drain = gateway.drain
    assert drain is not None
    assert gateway.grace.total_seconds() > 600

    async def lingers() -> None:
        await drain()

    async with running(gateway_alone(gateway)):
        await wait_until(lambda: answers(gateway), description="the gateway answers", seconds=30)
        async with asyncio.TaskGroup() as group:
            draining = group.create_task(lingers())
            for _ in range(3):
                assert await answers(gateway)
            assert not draining.done()
            draining.cancel()
