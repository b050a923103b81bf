"""Webhooks of accounts: made, changed, tried out, looked into by their owners."""

import asyncio

import httpx

from qrt_chassis.sealing import Seal
from qrt_contracts.api_webhooks import CreateWebhookRequest, UpdateWebhookRequest
from qrt_contracts.faults import Conflict, InvalidRequest, NotFound
from qrt_contracts.ids import new_id
from qrt_contracts.values import Confidential
from qrt_gateway.domain import webhooks as rules
from qrt_gateway.domain.accounts import Caller, require_someone
from qrt_gateway.domain.webhooks import Delivery, Webhook
from qrt_gateway.ports import Clock, DeliveryStore, Reached, WebhookStore
from qrt_gateway.service.deliveries import Deliveries, purpose
from qrt_gateway.service.secrets import NO_KEYS
from qrt_gateway.service.subscribers import Subscribers

MAX_WEBHOOKS = 50
"""Webhooks of one account."""


class Webhooks:
    """The use cases of owners; what is somebody else's is not found."""

    def __init__(
        self,
        store: WebhookStore,
        delivered: DeliveryStore,
        *,
        deliveries: Deliveries,
        subscribers: Subscribers,
        receivers: Reached,
        seal: Seal | None,
        clock: Clock,
    ) -> None:
        self._store = store
        self._delivered = delivered
        self._deliveries = deliveries
        self._subscribers = subscribers
        self._receivers = receivers
        self._seal = seal
        self._clock = clock

    async def create(self, caller: Caller, wanted: CreateWebhookRequest) -> tuple[Webhook, str]:
        """Make a webhook; return it and its secret. The end of every later job is told to it.

        Raises:
            Forbidden: the caller's own token is any token.
            InvalidRequest: its URL is none, or leads where nothing is sent.
            Conflict: this deployment keeps no secrets, or the account has as many webhooks as it may.
            Unavailable: the bus is away.
        """
        require_someone(caller)
        if self._seal is None:
            raise Conflict(NO_KEYS)
        if len(await self._store.webhooks(caller.name)) >= MAX_WEBHOOKS:
            raise Conflict(f"an account can have {MAX_WEBHOOKS} webhooks")
        await self._require_reachable(wanted.url)
        identifier, secret, now = new_id(), rules.new_signing_secret(), self._clock()
        webhook = Webhook(
            id=identifier,
            owner=caller.name,
            url=wanted.url,
            events=wanted.events,
            description=wanted.description,
            sealed=self._seal.seal(
                Confidential(secrets={"webhook": secret}), purpose=purpose(identifier, caller.name)
            ),
            created_at=now,
            updated_at=now,
        )
        await self._store.add_webhook(webhook)
        await self._known_everywhere()
        return webhook, secret

    async def owned(self, caller: Caller) -> list[Webhook]:
        """Return the caller's webhooks, oldest first."""
        return await self._store.webhooks(caller.name)

    async def get(self, caller: Caller, webhook_id: str) -> Webhook:
        """Return one of the caller's webhooks. Raises: NotFound."""
        found = await self._store.webhook(webhook_id)
        if found is None or found.owner != caller.name:
            raise NotFound(f"you have no webhook {webhook_id}")
        return found

    async def update(self, caller: Caller, webhook_id: str, wanted: UpdateWebhookRequest) -> Webhook:
        """Change a webhook. Raises: NotFound, InvalidRequest."""
        await self.get(caller, webhook_id)
        changes: dict[str, object] = wanted.model_dump(exclude_none=True)
        if wanted.url is not None:
            await self._require_reachable(wanted.url)
        if wanted.events is not None:
            changes["events"] = list(wanted.events)
        if wanted.enabled is not None:
            reason = None if wanted.enabled else "its owner switched it off"
            changes |= {"disabled_reason": reason, "failing_since": None}
        changes["updated_at"] = self._clock()
        if not await self._store.change_webhook(webhook_id, changes):
            raise NotFound(f"you have no webhook {webhook_id}")
        if changes.keys() & {"enabled", "events"}:
            await self._known_everywhere()
        return await self.get(caller, webhook_id)

    async def delete(self, caller: Caller, webhook_id: str) -> None:
        """Remove a webhook with its deliveries. Raises: NotFound."""
        await self.get(caller, webhook_id)
        await self._store.delete_webhook(webhook_id)

    async def test(self, caller: Caller, webhook_id: str) -> Delivery:
        """Send something to a webhook, even if it is switched off. Raises: NotFound."""
        await self.get(caller, webhook_id)
        delivery = rules.trial(webhook_id, now=self._clock())
        await self._deliveries.add(delivery)
        return delivery

    async def deliveries(
        self, caller: Caller, webhook_id: str, *, limit: int, cursor: str | None
    ) -> tuple[list[Delivery], str | None]:
        """Return a page of a webhook's deliveries, newest first, and where the next one begins."""
        await self.get(caller, webhook_id)
        found = await self._delivered.deliveries(webhook_id, limit=limit + 1, before=cursor)
        page = found[:limit]
        return page, page[-1].order if len(found) > limit else None

    async def retry(self, caller: Caller, webhook_id: str, delivery_id: str) -> Delivery:
        """Send a delivery again, however it ended, and from the beginning if it is under way.

        Raises:
            NotFound: there is no such webhook or delivery.
            Conflict: it is being sent at this moment.
        """
        await self.get(caller, webhook_id)
        found = await self._delivered.delivery(delivery_id)
        if found is None or found.webhook != webhook_id:
            raise NotFound(f"this webhook has no delivery {delivery_id}")
        again = await self._deliveries.send_again(found)
        if again is None:
            raise Conflict("this delivery is being sent just now; look at it again in a moment")
        return again

    async def _known_everywhere(self) -> None:
        """Wait until every gateway knows of a change, then see to it that job ends come."""
        await asyncio.sleep(self._subscribers.memory_seconds)
        await self._deliveries.listen()

    async def _require_reachable(self, url: str) -> None:
        if (problem := await self._problem_of(url)) is not None:
            raise InvalidRequest(f"url: {problem}", field="url")

    async def _problem_of(self, url: str) -> str | None:
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            return "this is no URL"
        if parsed.scheme not in ("http", "https") or not parsed.host:
            return "give an address such as https://example.org/hook"
        if parsed.userinfo or parsed.fragment:
            return "it must not hold credentials or a fragment; what is sent is signed"
        if parsed.port is not None and not 0 < parsed.port < 1 << 16:
            return "its port is none"
        return await self._receivers.may_reach(url)
