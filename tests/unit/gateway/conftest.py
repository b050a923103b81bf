"""Fixtures of the gateway's unit tests."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.gateway.world import World, world


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    """A gateway with everything behind it in memory."""
    async with world() as built:
        yield built
