"""Heartbeats: every so often, and at once when an executor takes more or fewer orders than it has said."""

import asyncio
import logging
from datetime import timedelta

from qrt_chassis.bus.port import Bus
from qrt_chassis.passing import is_passing
from qrt_executor.service.executor import Executor

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.050
"""News that come together are told together: at most twenty heartbeats a second."""
_DEADLINE = timedelta(seconds=2)


class Heart:
    """Publishes the executor's heartbeats while `beat` runs."""

    def __init__(self, executor: Executor, bus: Bus, *, interval: timedelta) -> None:
        self._executor = executor
        self._bus = bus
        self._interval = interval

    async def beat(self) -> None:
        """Publish until cancelled; a bus that is away misses beats, which the next one makes up for."""
        while True:
            self._executor.changed.clear()
            await self._publish(leaving=False)
            await asyncio.sleep(_SETTLE_SECONDS)
            try:
                async with asyncio.timeout(self._interval.total_seconds() - _SETTLE_SECONDS):
                    await self._executor.changed.wait()
            except TimeoutError:
                continue

    async def leave(self) -> None:
        """Say that this is the last one."""
        await self._publish(leaving=True)

    async def _publish(self, *, leaving: bool) -> None:
        try:
            await self._bus.publish(self._executor.heartbeat(leaving=leaving), deadline=_DEADLINE)
        except Exception as exc:
            if not is_passing(exc):
                raise
            log.warning("a heartbeat was not taken: %s", exc)
