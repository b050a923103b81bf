"""Webhooks and their deliveries in MongoDB, database `gateway`.

| collection | _id | what |
|---|---|---|
| webhooks | id | whose, where to, of what; its secret sealed |
| webhook_changes | "webhooks" | how often a webhook was made, changed or removed |
| deliveries | of webhook, job and event | what is sent, every attempt; `due` only while it is pending |
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from qrt_chassis.store import Store, keep_index
from qrt_contracts.api_webhooks import DeliveryStatus, WebhookEventType
from qrt_gateway.domain.webhooks import Delivery, Tried, Webhook

_COUNTER = "webhooks"
_KEPT = ("due", "status", "attempts", "tries", "began_at", "asked_for", "ended_at")
"""What changes of a delivery."""


class MongoWebhooks:
    """The `WebhookStore` and `DeliveryStore` ports."""

    def __init__(self, store: Store) -> None:
        database = store.database("gateway")
        self._webhooks = database["webhooks"]
        self._changes = database["webhook_changes"]
        self._deliveries = database["deliveries"]

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat, by several replicas at once."""
        await keep_index(self._webhooks, "owner")
        await keep_index(self._deliveries, [("webhook", 1), ("order", -1)])
        await keep_index(self._deliveries, "due", sparse=True)
        await keep_index(self._deliveries, "ended_at", sparse=True)

    async def add_webhook(self, webhook: Webhook) -> None:
        """Store a new webhook."""
        await self._webhooks.insert_one(_with_id(asdict(webhook)))
        await self._changed()

    async def webhook(self, webhook_id: str) -> Webhook | None:
        """Return a webhook."""
        found = await self._webhooks.find_one({"_id": webhook_id})
        return _webhook(found) if found else None

    async def webhooks(self, owner: str) -> list[Webhook]:
        """Return an account's webhooks, oldest first."""
        found = [_webhook(each) async for each in self._webhooks.find({"owner": owner})]
        return sorted(found, key=lambda webhook: webhook.id)

    async def all_webhooks(self, *, limit: int) -> list[Webhook]:
        """Return up to `limit` of all webhooks."""
        return [_webhook(each) async for each in self._webhooks.find().limit(limit)]

    async def change_webhook(self, webhook_id: str, changes: Mapping[str, object]) -> bool:
        """Set fields of a webhook; False if it is gone."""
        result = await self._webhooks.update_one({"_id": webhook_id}, {"$set": dict(changes)})
        if changes.keys() & {"enabled", "events"}:
            await self._changed()
        return bool(result.matched_count)

    async def delete_webhook(self, webhook_id: str) -> bool:
        """Remove a webhook and its deliveries; False if it was gone."""
        result = await self._webhooks.delete_one({"_id": webhook_id})
        await self._changed()
        await self._deliveries.delete_many({"webhook": webhook_id})
        return bool(result.deleted_count)

    async def webhook_changes(self) -> int:
        """Return how many changes there were."""
        found = await self._changes.find_one({"_id": _COUNTER})
        return int(found["count"]) if found else 0

    async def _changed(self) -> None:
        await self._changes.update_one({"_id": _COUNTER}, {"$inc": {"count": 1}}, upsert=True)

    async def add_delivery(self, delivery: Delivery) -> bool:
        """Store a delivery; False if it is there already."""
        try:
            await self._deliveries.insert_one(_with_id(_fields(delivery)))
        except DuplicateKeyError:
            return False
        return True

    async def delivery(self, delivery_id: str) -> Delivery | None:
        """Return a delivery."""
        found = await self._deliveries.find_one({"_id": delivery_id})
        return _delivery(found) if found else None

    async def deliveries(self, webhook_id: str, *, limit: int, before: str | None) -> list[Delivery]:
        """Return up to `limit` deliveries of a webhook, newest first, of orders below `before`."""
        query: dict[str, Any] = {"webhook": webhook_id}
        if before is not None:
            query["order"] = {"$lt": before}
        found = self._deliveries.find(query).sort("order", -1).limit(limit)
        return [_delivery(each) async for each in found]

    async def due(self, now: datetime, *, limit: int) -> list[tuple[str, str]]:
        """Return (id of the delivery, id of its webhook) of some that are due."""
        found = self._deliveries.find({"due": {"$lte": _stamp(now)}}, {"webhook": 1}).limit(limit)
        return [(each["_id"], each["webhook"]) async for each in found]

    async def claim(self, delivery_id: str, *, now: datetime, until: datetime) -> Delivery | None:
        """Take a delivery that is due, so that nobody else does before `until`; None if it is not."""
        taken = {"_id": delivery_id, "due": {"$lte": _stamp(now)}}
        result = await self._deliveries.update_one(taken, {"$set": {"due": _stamp(until)}})
        return await self.delivery(delivery_id) if result.matched_count else None

    async def settle(self, old: Delivery, new: Delivery) -> bool:
        """Store what became of a delivery if it still is as `old` says."""
        fields = _fields(new)
        change = {"$set": {name: fields[name] for name in _KEPT if name in fields}}
        gone = {name: "" for name in _KEPT if name not in fields}
        as_seen = {"_id": old.id, "due": None if old.due is None else _stamp(old.due)}
        result = await self._deliveries.update_one(as_seen, change | ({"$unset": gone} if gone else {}))
        return bool(result.matched_count)

    async def postpone(self, delivery_ids: Sequence[str], *, now: datetime, until: datetime) -> None:
        """Let deliveries that are due wait until a moment."""
        late = {"_id": {"$in": list(delivery_ids)}, "due": {"$lte": _stamp(now)}}
        await self._deliveries.update_many(late, {"$set": {"due": _stamp(until)}})

    async def forget_deliveries(self, before: datetime) -> None:
        """Remove the deliveries that ended before a moment."""
        await self._deliveries.delete_many({"ended_at": {"$lt": before}})


def _stamp(moment: datetime) -> float:
    """Return a moment as a number: the database would round a date, and then equal ones differ."""
    return moment.timestamp()


def _with_id(fields: dict[str, Any]) -> dict[str, Any]:
    return {"_id": fields.pop("id"), **fields}


def _webhook(document: dict[str, Any]) -> Webhook:
    events = tuple(WebhookEventType(each) for each in document.pop("events"))
    return Webhook(id=document.pop("_id"), events=events, **document)


def _fields(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery's fields without those whose absence the indexes rely on."""
    fields = asdict(delivery) | {"attempts": [asdict(each) for each in delivery.attempts]}
    if delivery.due is not None:
        fields["due"] = _stamp(delivery.due)
    return {name: each for name, each in fields.items() if each is not None or name == "job_id"}


def _delivery(document: dict[str, Any]) -> Delivery:
    due = document.pop("due", None)
    attempts = tuple(Tried(**each) for each in document.pop("attempts"))
    return Delivery(
        id=document.pop("_id"),
        due=None if due is None else datetime.fromtimestamp(due, tz=document["created_at"].tzinfo),
        status=DeliveryStatus(document.pop("status")),
        attempts=attempts,
        **document,
    )
