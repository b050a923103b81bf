"""Fixtures of the contract suites."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from qrt_chassis.bus.port import Bus
from tests.contract import transports
from tests.contract.transports import Transport


@pytest.fixture(params=["memory", "amqp"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    """Each transport in turn."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield transports.memory(stack)
        else:
            yield transports.amqp(stack, request.getfixturevalue("rabbit_url"))


@pytest.fixture
async def bus(transport: Transport) -> Bus:
    """One process's bus."""
    return await transport.open()
