"""Deliveries that are ready to be sent: a bounded number waits, in turn by webhook."""

import asyncio
from collections import Counter, OrderedDict, deque

PER_WEBHOOK = 4
"""Deliveries of one webhook under way at a time."""
WAITING_PER_WEBHOOK = 100
WAITING = 5_000


class Ready:
    """A queue whose webhooks take turns, so that a slow receiver holds up its own deliveries alone."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[str]] = OrderedDict()
        self._known: set[str] = set()
        self._active: Counter[str] = Counter()
        self._news = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._known)

    async def offer(self, webhook: str, delivery: str) -> bool:
        """Let a delivery wait here; False if there is no room. One that waits already is not added again."""
        async with self._news:
            if delivery in self._known:
                return True
            queue = self._waiting.get(webhook, ())
            if len(self._known) >= WAITING or len(queue) >= WAITING_PER_WEBHOOK:
                return False
            self._waiting.setdefault(webhook, deque()).append(delivery)
            self._known.add(delivery)
            self._news.notify()
            return True

    async def take(self) -> tuple[str, str]:
        """Wait for a delivery whose webhook has fewer than `PER_WEBHOOK` under way; `done` ends it."""
        async with self._news:
            while (webhook := self._next()) is None:
                await self._news.wait()
            queue = self._waiting[webhook]
            delivery = queue.popleft()
            self._waiting.move_to_end(webhook)
            if not queue:
                del self._waiting[webhook]
            self._active[webhook] += 1
            return webhook, delivery

    async def done(self, webhook: str, delivery: str) -> None:
        """Say that a delivery that was taken is not under way any more."""
        async with self._news:
            self._known.discard(delivery)
            self._active[webhook] -= 1
            if not self._active[webhook]:
                del self._active[webhook]
            self._news.notify()

    def _next(self) -> str | None:
        return next((each for each in self._waiting if self._active[each] < PER_WEBHOOK), None)
