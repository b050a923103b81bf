"""Fixtures of the gateway's unit tests."""

from collections.abc import AsyncIterator

import pytest

from qrt_contracts.ids import dashed
from tests.unit.gateway.world import World, world


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    """A gateway with everything behind it in memory."""
    async with world() as built:
        yield built


@pytest.fixture
async def service(gateway: World) -> str:
    """The path of a service by its program's id; it is named `my service`."""
    created = await gateway.http.post("/v1/programs", json={"name": "my service", "source": "x"})
    return f"/services/{dashed(created.json()['id'])}"
