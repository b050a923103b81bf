"""The workers of one subscription: they take deliveries and settle them."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from qrt_chassis.bus.delivery import Delivery
from qrt_chassis.passing import is_passing
from qrt_chassis.tasks import Tasks

log = logging.getLogger(__name__)

CANCEL_SECONDS = 30.0
"""How long running handlers may take to finish when their subscription is cancelled."""


D = TypeVar("D", bound=Delivery)


class Consumer(Generic[D]):
    """Takes deliveries one by one from `take` and settles as many at once as allowed."""

    def __init__(
        self,
        name: str,
        *,
        take: Callable[[], Awaitable[D]],
        settle: Callable[[D, asyncio.Event], Awaitable[None]],
        concurrency: int,
    ) -> None:
        self._take = take
        self._settle = settle
        self._stopping = asyncio.Event()
        self._taking: set[asyncio.Task[None]] = set()
        self._tasks = Tasks(f"consumer of {name}")
        self._workers = [
            self._tasks.start(self._work(), name=f"worker {number}") for number in range(concurrency)
        ]

    def halt(self) -> None:
        """Take nothing more, from this moment."""
        self._stopping.set()
        for worker in self._taking:
            worker.cancel("the subscription is cancelled")

    async def stop(self) -> None:
        """Take nothing more, and wait for running handlers, `CANCEL_SECONDS` at most."""
        self.halt()
        mine = asyncio.current_task()
        # A handler may cancel its own subscription: it is not to wait for itself.
        others = [worker for worker in self._workers if worker is not mine]
        if others:
            await asyncio.wait(others, timeout=CANCEL_SECONDS)
        await self._tasks.close()

    async def _work(self) -> None:
        while not self._stopping.is_set():
            delivery = await self._next()
            if delivery is not None:
                await self._guarded(delivery)

    async def _next(self) -> D | None:
        me = asyncio.current_task()
        assert me is not None  # noqa: S101 - a worker is a task
        self._taking.add(me)
        try:
            delivery = await self._take()
        finally:
            self._taking.discard(me)
        return delivery if delivery.held else None

    async def _guarded(self, delivery: D) -> None:
        """Settle; an error here is the transport's, and the message comes back by itself."""
        try:
            await self._settle(delivery, self._stopping)
        except Exception as error:  # a worker outlives whatever one message brings
            if is_passing(error):
                log.warning("a delivery was not settled, it will come again: %r", error)
            else:
                log.exception("a delivery was not settled, it will come again")
            with contextlib.suppress(ConnectionError):
                await delivery.give_back()
