"""From the end of a job to its receivers: every delivery is stored first, then sent until it arrives.

Job ends come by one durable queue that all gateways share. What is stored is sent by whichever gateway
claims it; a claim ends by itself, so what a gateway that died was sending is sent again by another one.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from qrt_chassis.bus.port import Bus, Subscribed, Subscription
from qrt_chassis.patience import patiently
from qrt_chassis.sealing import Seal, SealBroken
from qrt_contracts.events import JobEnded
from qrt_contracts.message import Exchange
from qrt_gateway import metrics
from qrt_gateway.domain import webhooks as rules
from qrt_gateway.domain.webhooks import Delivery, Tried, Webhook
from qrt_gateway.ports import AccountStore, Clock, DeliveryStore, NotReached, Reached, WebhookStore
from qrt_gateway.service.ready import Ready
from qrt_gateway.service.subscribers import Subscribers

log = logging.getLogger(__name__)

JOB_ENDS = Subscription(queue="gateway.job-ends", concurrency=16, prefetch=64)
"""Ends of jobs, for whichever gateway; bound while there may be a webhook."""
_ENDS = (Exchange.EVENTS, "job.*.ended")

WORKERS = 32
"""Deliveries under way at a time in one gateway."""
CLAIM = timedelta(seconds=60)
"""How long a delivery that is being sent is left to who sends it; several times what an attempt may take."""
SWEEP_SECONDS = 2.0
SWEPT = 500
POSTPONED = timedelta(seconds=30)
"""What is due and finds no room waits for so long, and does not hide what else is due."""
KEPT = timedelta(days=7)
FORGET_EVERY_SECONDS = 3600.0


def secret_of(hook: Webhook, seal: Seal | None) -> str:
    """Return what signs a webhook's deliveries. Raises: SealBroken."""
    if seal is None:
        raise SealBroken("this gateway has no sealing keys")
    return seal.open(hook.sealed, purpose=purpose(hook.id, hook.owner)).secrets["webhook"]


def purpose(webhook_id: str, owner: str) -> str:
    """Return what a webhook's secret is sealed for."""
    return f"webhook {webhook_id} of {owner}"


class Deliveries:
    """Stores and sends what webhooks are to be told."""

    def __init__(
        self,
        *,
        bus: Bus,
        accounts: AccountStore,
        hooks: WebhookStore,
        store: DeliveryStore,
        subscribers: Subscribers,
        receivers: Reached,
        seal: Seal | None,
        clock: Clock,
        monotonic: Callable[[], float],
        base: str,
        agent: str,
    ) -> None:
        self._bus = bus
        self._accounts = accounts
        self._hooks = hooks
        self._store = store
        self._subscribers = subscribers
        self._receivers = receivers
        self._seal = seal
        self._clock = clock
        self._monotonic = monotonic
        self._base = base
        self._agent = agent
        self._ready = Ready()
        self._ends: Subscribed | None = None
        self._bound = True
        self._forgot_at = float("-inf")

    # --- which ends come here -----------------------------------------------------------------

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[None]:
        """Take job ends inside the context."""
        self._ends = await self._bus.subscribe(JOB_ENDS, {JobEnded: self.on_ended})
        await self._ends.bind(*_ENDS)
        try:
            yield
        finally:
            await self._ends.cancel()

    async def listen(self) -> None:
        """See to it that every end of a job comes here from now on. Raises: Unavailable."""
        if self._ends is not None:
            await self._ends.bind(*_ENDS)
            self._bound = True
            await self._bus.ping()

    async def _let_go(self) -> None:
        """Spare the broker the ends of jobs while nobody anywhere has a webhook."""
        if self._ends is None:
            return
        await self._ends.unbind(*_ENDS)
        self._bound = False
        # One that was made in between was bound for before this took it away.
        await self._subscribers.refresh()
        if self._subscribers.any:
            await self.listen()

    # --- from an end to deliveries ------------------------------------------------------------

    async def on_ended(self, ended: JobEnded) -> None:
        """Store what is to be sent about the end of a job. Safe to repeat."""
        event = rules.event_of(ended.job.status)
        if event is None:
            return
        for webhook in await self._subscribers.of(ended.job.owner, event):
            await self.add(rules.news(webhook, event, ended.job, base=self._base, now=self._clock()))

    async def add(self, delivery: Delivery) -> None:
        """Store a delivery, and send it soon; one that is there already is left alone."""
        if await self._store.add_delivery(delivery):
            await self._ready.offer(delivery.webhook, delivery.id)

    async def send_again(self, delivery: Delivery) -> Delivery | None:
        """Begin anew with a delivery; None if it changed meanwhile."""
        new = rules.again(delivery, now=self._clock())
        if not await self._store.settle(delivery, new):
            return None
        await self._ready.offer(new.webhook, new.id)
        return new

    # --- from deliveries to receivers ---------------------------------------------------------

    async def run(self) -> None:
        """Send what is ready, for as long as the service lives."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._send_each())

    async def _send_each(self) -> None:
        while True:
            webhook, delivery = await self._ready.take()
            try:
                await self._send(webhook, delivery)
            finally:
                await self._ready.done(webhook, delivery)

    async def _send(self, webhook: str, delivery_id: str) -> None:
        now = self._clock()
        claim = partial(self._store.claim, delivery_id, now=now, until=now + CLAIM)
        claimed = await patiently(claim, what="claiming a delivery")
        if claimed is None:
            return
        hook = await patiently(partial(self._hooks.webhook, webhook), what="reading a webhook")
        if hook is None or not (hook.enabled or claimed.asked_for):
            tried = Tried(at=now, seconds=0.0, error="its webhook is switched off")
            await self._settle(claimed, rules.given_up(claimed, tried, now=now))
            return
        if await patiently(partial(self._is_disabled, hook.owner), what="reading an account"):
            await self._settle(claimed, rules.held(claimed, now=now))
            return
        tried = await self._try(hook, claimed)
        new = rules.after(claimed, tried, now=self._clock(), chance=random.random())  # noqa: S311
        await self._settle(claimed, new)
        if hook.enabled:
            await self._judge(hook, tried)

    async def _is_disabled(self, owner: str) -> bool:
        account = await self._accounts.account(owner)
        return account is not None and account.disabled

    async def _settle(self, old: Delivery, new: Delivery) -> None:
        await patiently(partial(self._store.settle, old, new), what="settling a delivery")

    async def _try(self, hook: Webhook, delivery: Delivery) -> Tried:
        now, began = self._clock(), self._monotonic()
        status, error = None, None
        try:
            headers = rules.signed(delivery, secret_of(hook, self._seal), now=now)
            headers |= {"Content-Type": "application/json", "User-Agent": self._agent}
            status = await self._receivers.post(hook.url, delivery.body.encode(), headers)
        except NotReached as failure:
            error = str(failure)
        except (SealBroken, KeyError):
            error = "its secret cannot be opened any more: make another webhook"
        seconds = self._monotonic() - began
        tried = Tried(at=now, seconds=round(seconds, 3), status_code=status, error=error)
        metrics.WEBHOOK_ATTEMPTS.labels("delivered" if tried.succeeded else "failed").inc()
        metrics.WEBHOOK_SECONDS.observe(seconds)
        return tried

    async def _judge(self, hook: Webhook, tried: Tried) -> None:
        """Note how a webhook does, and switch it off when it has failed for days."""
        changes: dict[str, object] = {}
        if tried.succeeded:
            changes = {"failing_since": None} if hook.failing_since else {}
        elif reason := rules.why_off(hook, tried, now=self._clock()):
            log.warning("webhook %s is switched off: %s", hook.id, reason)
            changes = {"enabled": False, "disabled_reason": reason}
        elif hook.failing_since is None:
            changes = {"failing_since": tried.at}
        if changes:
            change = partial(self._hooks.change_webhook, hook.id, changes)
            await patiently(change, what="noting how a webhook does")

    # --- what was left behind -----------------------------------------------------------------

    async def sweep(self) -> None:
        """Find what is due, at start and every other second while there is any webhook."""
        while True:
            await self._subscribers.refresh()
            if self._subscribers.any:
                if not self._bound:
                    await self.listen()
                await self.sweep_now()
            elif self._bound:
                await self._let_go()
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep_now(self) -> None:
        """Make ready what is due, and forget what ended long ago."""
        now = self._clock()
        due = await self._store.due(now, limit=SWEPT)
        late = [delivery for delivery, webhook in due if not await self._ready.offer(webhook, delivery)]
        if late:
            await self._store.postpone(late, now=now, until=now + POSTPONED)
        metrics.WEBHOOKS_WAITING.set(len(self._ready))
        if self._monotonic() - self._forgot_at > FORGET_EVERY_SECONDS:
            await self._store.forget_deliveries(now - KEPT)
            self._forgot_at = self._monotonic()
