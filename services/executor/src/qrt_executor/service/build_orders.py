"""Whether orders of builds are taken: not while the executor is drained."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from qrt_chassis.bus.port import Subscribed

log = logging.getLogger(__name__)


class BuildOrders:
    """The subscriptions to all kinds of builds. What is not taken here waits for any executor."""

    def __init__(self, subscribe: Callable[[], Awaitable[Sequence[Subscribed]]]) -> None:
        self._subscribe = subscribe
        self._live: Sequence[Subscribed] = ()
        self._held_off = False
        self._changed = asyncio.Event()

    @property
    def taking(self) -> bool:
        """Whether orders are taken now."""
        return bool(self._live)

    async def take(self) -> None:
        """Take orders from now on."""
        self._live = await self._subscribe()

    def hold_off(self, held_off: bool) -> None:
        """Take no more orders, soon, until told otherwise."""
        self._held_off = held_off
        self._changed.set()

    async def run(self) -> None:
        """Do as `hold_off` says, for as long as the service lives.

        A build that is under way has as long to end as a cancelled subscription waits; then it is given back.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._held_off and self._live:
                log.info("no builds are taken while the executor is drained")
                await self.close()
            elif not self._held_off and not self._live:
                await self.take()

    async def close(self) -> None:
        """Take no more orders; what is being built has ended, or was given back, after this."""
        live, self._live = self._live, ()
        await asyncio.gather(*(each.cancel() for each in live))
