"""The owner of background tasks: keeps them, notices when one dies, ends them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from qrt_chassis import metrics

log = logging.getLogger(__name__)


class Tasks:
    """Background tasks of one component. None outlives `close`; a death is logged and counted."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run `work` in the background."""
        task = asyncio.create_task(work, name=f"{self._owner}: {name}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            metrics.TASKS_DIED.labels(self._owner).inc()
            log.critical("background task %r died", task.get_name(), exc_info=error)

    async def done(self) -> None:
        """Wait until all of it has ended by itself."""
        running = [task for task in self._running if task is not asyncio.current_task()]
        await asyncio.gather(*running, return_exceptions=True)

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        running = [task for task in self._running if task is not asyncio.current_task()]
        for task in running:
            task.cancel("its owner closes")
        await asyncio.gather(*running, return_exceptions=True)
