"""Which accounts' jobs have webhooks: known in memory, so that the others' cost no look-up."""

import asyncio
from collections.abc import Callable

from qrt_contracts.api_webhooks import WebhookEventType
from qrt_gateway.domain.webhooks import Webhook
from qrt_gateway.ports import WebhookStore

MEMORY_SECONDS = 0.25
"""What is remembered is never older when it is relied on. Whoever makes a webhook waits for so long before
it is told of: then every gateway knows it."""
MEMORY_SIZE = 100_000
"""Webhooks that are remembered; where there are more, those of each job's owner are looked up."""


class Subscribers:
    """The ids of the webhooks that are to be told, by owner and event."""

    def __init__(
        self,
        store: WebhookStore,
        *,
        monotonic: Callable[[], float],
        memory_seconds: float = MEMORY_SECONDS,
        memory_size: int = MEMORY_SIZE,
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._size = memory_size
        self.memory_seconds = memory_seconds
        self._by_owner: dict[str, list[Webhook]] = {}
        self._all = True
        self._changes: int | None = None
        self._known_at = float("-inf")
        self._reading = asyncio.Lock()
        self.any = False
        """Whether there was any webhook, switched off or not, when they were last read."""

    async def of(self, owner: str, event: WebhookEventType) -> list[str]:
        """Return the ids of an owner's webhooks that are to be told of an event."""
        await self.refresh()
        hooks = self._by_owner.get(owner, []) if self._all else await self._store.webhooks(owner)
        return [each.id for each in hooks if each.enabled and event in each.events]

    async def refresh(self) -> None:
        """Read what has changed, unless that was done a moment ago; once for all who ask meanwhile."""
        async with self._reading:
            now = self._monotonic()
            if now - self._known_at < self.memory_seconds:
                return
            changes = await self._store.webhook_changes()
            if changes != self._changes:
                await self._read()
                self._changes = changes
            self._known_at = now

    async def _read(self) -> None:
        found = await self._store.all_webhooks(limit=self._size + 1)
        self.any, self._all = bool(found), len(found) <= self._size
        self._by_owner = {}
        for each in found if self._all else ():
            if each.enabled:
                self._by_owner.setdefault(each.owner, []).append(each)
