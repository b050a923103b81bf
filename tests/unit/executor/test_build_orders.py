"""A drained executor takes no builds: they wait for another one, or for its turn to come again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.bus.port import Subscribed
from qrt_contracts.events import BuildVersion
from qrt_contracts.values import ProgramKind
from qrt_executor import handlers
from qrt_executor.service.build_orders import BuildOrders
from tests.support.waiting import wait_until
from tests.unit.executor.test_version_orders import SPEC


class Taken:
    """An executor's intake of builds on a bus, and what it took."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self.versions: list[int] = []
        self.until = asyncio.Event()
        self.until.set()
        self.orders = BuildOrders(self._subscribe)

    async def _subscribe(self) -> list[Subscribed]:
        subscription = handlers.builds_subscription(ProgramKind.TEMPLATE)
        return [await self._bus.subscribe(subscription, {BuildVersion: self._take})]

    async def _take(self, order: BuildVersion) -> None:
        self.versions.append(order.run.version)
        await self.until.wait()

    async def order(self, version: int) -> None:
        await self._bus.publish(
            BuildVersion(run=SPEC.model_copy(update={"version": version})), mandatory=True
        )


@asynccontextmanager
async def taking(bus: MemoryBus) -> AsyncIterator[Taken]:
    taken = Taken(bus)
    await taken.orders.take()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(taken.orders.run())
        yield taken
        task.cancel()
    await taken.orders.close()


async def test_builds_are_taken_until_it_is_drained_and_again_afterwards() -> None:
    bus = MemoryBus()
    async with taking(bus) as drained:
        await drained.order(1)
        await wait_until(lambda: drained.versions == [1], description="the first build")
        drained.orders.hold_off(True)
        await wait_until(lambda: not drained.orders.taking, description="the executor to take none")
        await drained.order(2)
        async with taking(bus) as other:
            await wait_until(lambda: other.versions == [2], description="another one to take it")
        await drained.order(3)
        assert drained.versions == [1]
        drained.orders.hold_off(False)
        await wait_until(lambda: drained.versions == [1, 3], description="what was left")
    await bus.close()


async def test_a_build_that_is_under_way_may_end() -> None:
    bus = MemoryBus()
    async with taking(bus) as drained:
        drained.until.clear()
        await drained.order(1)
        await wait_until(lambda: drained.versions == [1], description="the build to begin")
        drained.orders.hold_off(True)
        await wait_until(lambda: not drained.orders.taking, description="the executor to take none")
        drained.until.set()
        async with taking(bus) as other:
            await drained.order(2)
            await wait_until(lambda: other.versions == [2], description="the next one alone to be left")
        assert drained.versions == [1]
    await bus.close()
