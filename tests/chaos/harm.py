"""Carries out one fault after the other."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from tests.chaos.plan import Fault
from tests.chaos.tap import Tap
from tests.chaos.world import LEASE_SECONDS, World
from tests.system.composition import Process

Say = Callable[[str], None]


class Harm:
    """What can be done to a world."""

    def __init__(self, world: World, tap: Tap, say: Say) -> None:
        self._world = world
        self._tap = tap
        self._say = say
        self._ways: dict[str, Callable[[int], Awaitable[None]]] = {
            "kill a gateway": lambda choice: self._kill("gateway", choice),
            "kill a registry": lambda choice: self._kill("registry", choice),
            "kill a scheduler": lambda choice: self._kill("scheduler", choice),
            "kill an executor": lambda choice: self._kill("executor", choice),
            "drain an executor": self._drain,
            "stop an executor past its lease": lambda choice: self._stop("executor", choice),
            "stop a scheduler for a while": lambda choice: self._stop("scheduler", choice),
            "restart the broker": lambda _: world.rabbit.restart(),
            "kill the broker": self._kill_broker,
            "restart the database": lambda _: world.mongo.restart(),
            "kill the database": self._kill_database,
            "cut the broker's connections": self._cut_broker,
            "cut the database's connections": self._cut_database,
            "hold the broker's connections": self._hold_broker,
            "repeat and shuffle messages": lambda choice: tap.repeat(20 + choice % 100),
        }

    async def all(self, faults: list[Fault]) -> None:
        """Carry out a plan."""
        for fault in faults:
            await asyncio.sleep(fault.pause)
            self._say(f"{fault.kind} ({fault.choice})")
            await self._ways[fault.kind](fault.choice)

    def _one(self, name: str, choice: int) -> Process:
        replicas = self._world.processes[name]
        return replicas[choice % len(replicas)]

    async def _kill(self, name: str, choice: int) -> None:
        process = self._one(name, choice)
        await process.kill()
        await asyncio.sleep((choice >> 8) % 4 * 0.5)
        await process.start()

    async def _drain(self, choice: int) -> None:
        process = self._one("executor", choice)
        await process.stop(within=60)
        await process.start()

    async def _stop(self, name: str, choice: int) -> None:
        process = self._one(name, choice)
        process.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(LEASE_SECONDS + 3)
        finally:
            process.signal(signal.SIGCONT)

    async def _kill_broker(self, _: int) -> None:
        await self._world.rabbit.kill()
        await self._world.rabbit.come_back()

    async def _kill_database(self, _: int) -> None:
        await self._world.mongo.kill()
        await self._world.mongo.come_back()

    async def _cut_broker(self, choice: int) -> None:
        proxy = self._world.rabbit_proxy
        proxy.cut_after_up = proxy.bytes_up + choice  # in the middle of some message
        await asyncio.sleep(1)
        proxy.cut()

    async def _cut_database(self, choice: int) -> None:
        proxy = self._world.mongo_proxy
        proxy.cut_after_up = proxy.bytes_up + choice
        await asyncio.sleep(1)
        proxy.cut()

    async def _hold_broker(self, choice: int) -> None:
        self._world.rabbit_proxy.pause()
        try:
            await asyncio.sleep(1 + choice % 4)
        finally:
            self._world.rabbit_proxy.resume()
