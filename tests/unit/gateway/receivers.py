"""Webhooks' store and receivers in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from qrt_gateway.domain.webhooks import Delivery, Webhook
from qrt_gateway.ports import NotReached


class MemoryWebhooks:
    """The `WebhookStore` and `DeliveryStore` ports."""

    def __init__(self) -> None:
        self.hooks: dict[str, Webhook] = {}
        self.sent: dict[str, Delivery] = {}
        self.changes = 0
        self.reads = 0

    async def add_webhook(self, webhook: Webhook) -> None:
        self.hooks[webhook.id] = webhook
        self.changes += 1

    async def webhook(self, webhook_id: str) -> Webhook | None:
        return self.hooks.get(webhook_id)

    async def webhooks(self, owner: str) -> list[Webhook]:
        self.reads += 1
        return [each for each in self.hooks.values() if each.owner == owner]

    async def all_webhooks(self, *, limit: int) -> list[Webhook]:
        self.reads += 1
        return list(self.hooks.values())[:limit]

    async def change_webhook(self, webhook_id: str, changes: Mapping[str, object]) -> bool:
        if webhook_id not in self.hooks:
            return False
        fields: dict[str, Any] = dict(changes)
        if "events" in fields:
            fields["events"] = tuple(fields["events"])
        self.hooks[webhook_id] = replace(self.hooks[webhook_id], **fields)
        self.changes += 1
        return True

    async def delete_webhook(self, webhook_id: str) -> bool:
        self.changes += 1
        self.sent = {key: each for key, each in self.sent.items() if each.webhook != webhook_id}
        return self.hooks.pop(webhook_id, None) is not None

    async def webhook_changes(self) -> int:
        return self.changes

    async def add_delivery(self, delivery: Delivery) -> bool:
        return self.sent.setdefault(delivery.id, delivery) is delivery

    async def delivery(self, delivery_id: str) -> Delivery | None:
        return self.sent.get(delivery_id)

    async def deliveries(self, webhook_id: str, *, limit: int, before: str | None) -> list[Delivery]:
        found = [each for each in self.sent.values() if each.webhook == webhook_id]
        found = [each for each in found if before is None or each.order < before]
        return sorted(found, key=lambda each: each.order, reverse=True)[:limit]

    async def due(self, now: datetime, *, limit: int) -> list[tuple[str, str]]:
        found = [each for each in self.sent.values() if each.due is not None and each.due <= now]
        return [(each.id, each.webhook) for each in found[:limit]]

    async def claim(self, delivery_id: str, *, now: datetime, until: datetime) -> Delivery | None:
        found = self.sent.get(delivery_id)
        if found is None or found.due is None or found.due > now:
            return None
        self.sent[delivery_id] = replace(found, due=until)
        return self.sent[delivery_id]

    async def settle(self, old: Delivery, new: Delivery) -> bool:
        if old.id not in self.sent or self.sent[old.id].due != old.due:
            return False
        self.sent[old.id] = new
        return True

    async def postpone(self, delivery_ids: Sequence[str], *, now: datetime, until: datetime) -> None:
        for each in delivery_ids:
            self.sent[each] = replace(self.sent[each], due=until)

    async def forget_deliveries(self, before: datetime) -> None:
        self.sent = {
            key: each for key, each in self.sent.items() if each.ended_at is None or each.ended_at >= before
        }


@dataclass
class Receiver:
    """The `Reached` port: it answers what it is told to, or not at all."""

    answers: list[int | str] = field(default_factory=list)
    """A status, or why there is none; in turn, then 204."""
    got: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    refused: str | None = None

    async def may_reach(self, url: str) -> str | None:
        return self.refused

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.got.append((url, body, dict(headers)))
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, str):
            raise NotReached(answer)
        return answer
