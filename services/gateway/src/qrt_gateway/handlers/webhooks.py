"""`/v1/webhooks`: where the news of the caller's jobs are sent, and how that went."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api_webhooks import (
    CreateWebhookRequest,
    DeliveryAttempt,
    DeliveryList,
    DeliveryView,
    UpdateWebhookRequest,
    WebhookIssued,
    WebhookList,
    WebhookView,
)
from qrt_contracts.ids import HexId
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.webhooks import Delivery, Webhook
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.reading import body_as, id_of, query_as
from qrt_gateway.handlers.resource import Parts, json, resource


class DeliveriesQuery(BaseModel):
    """`GET /v1/webhooks/{id}/deliveries`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=500)
    cursor: HexId | None = None


def routes(parts: Parts) -> list[Route]:
    """Return the routes of webhooks."""
    return [
        resource(parts, "/v1/webhooks", get=list_webhooks, post=create),
        resource(parts, "/v1/webhooks/{id}", get=show, patch=update, delete=delete),
        resource(parts, "/v1/webhooks/{id}/test", post=test),
        resource(parts, "/v1/webhooks/{id}/deliveries", get=list_deliveries),
        resource(parts, "/v1/webhooks/{id}/deliveries/{delivery}/retry", post=retry),
    ]


@described({200: WebhookList})
async def list_webhooks(parts: Parts, _: Request, caller: Caller) -> Response:
    """List the caller's webhooks, without their secrets."""
    return json(WebhookList(webhooks=tuple(map(_view, await parts.webhooks.owned(caller)))))


@described({201: WebhookIssued}, body=CreateWebhookRequest, refuses=(403, 409))
async def create(parts: Parts, request: Request, caller: Caller) -> Response:
    """Have the ends of the caller's jobs told to a URL; the answer holds the secret that signs."""
    wanted = await body_as(request, CreateWebhookRequest, limit=parts.max_body_bytes)
    webhook, secret = await parts.webhooks.create(caller, wanted)
    issued = WebhookIssued(**_view(webhook).model_dump(), secret=secret)
    return json(issued, status=201, location=f"/v1/webhooks/{webhook.id}")


@described({200: WebhookView})
async def show(parts: Parts, request: Request, caller: Caller) -> Response:
    """Show one of the caller's webhooks."""
    return json(_view(await parts.webhooks.get(caller, _id(request))))


@described({200: WebhookView}, body=UpdateWebhookRequest, refuses=(403,))
async def update(parts: Parts, request: Request, caller: Caller) -> Response:
    """Change a webhook; `enabled` switches it off and on."""
    wanted = await body_as(request, UpdateWebhookRequest, limit=parts.max_body_bytes)
    return json(_view(await parts.webhooks.update(caller, _id(request), wanted)))


@described({204: "It is deleted."}, refuses=(403,))
async def delete(parts: Parts, request: Request, caller: Caller) -> Response:
    """Delete a webhook and what is known of its deliveries; nothing more is sent."""
    await parts.webhooks.delete(caller, _id(request))
    return Response(status_code=204)


@described({202: DeliveryView}, refuses=(403,))
async def test(parts: Parts, request: Request, caller: Caller) -> Response:
    """Send a `webhook.test` to a webhook, even if it is switched off."""
    return json(_delivery(await parts.webhooks.test(caller, _id(request))), status=202)


@described({200: DeliveryList}, query=DeliveriesQuery)
async def list_deliveries(parts: Parts, request: Request, caller: Caller) -> Response:
    """List what was sent, newest first, with every attempt; kept for seven days."""
    query = query_as(request, DeliveriesQuery)
    page, cursor = await parts.webhooks.deliveries(
        caller, _id(request), limit=query.limit, cursor=query.cursor
    )
    return json(DeliveryList(deliveries=tuple(map(_delivery, page)), next_cursor=cursor))


@described({202: DeliveryView}, refuses=(403, 409))
async def retry(parts: Parts, request: Request, caller: Caller) -> Response:
    """Send a delivery again, however it ended; it keeps its id."""
    delivery = id_of(request.path_params["delivery"], what="delivery")
    return json(_delivery(await parts.webhooks.retry(caller, _id(request), delivery)), status=202)


def _id(request: Request) -> str:
    return id_of(request.path_params["id"], what="webhook")


def _view(webhook: Webhook) -> WebhookView:
    return WebhookView(**{name: getattr(webhook, name) for name in WebhookView.model_fields})


def _delivery(delivery: Delivery) -> DeliveryView:
    attempts = tuple(
        DeliveryAttempt(at=each.at, status_code=each.status_code, error=each.error, seconds=each.seconds)
        for each in delivery.attempts
    )
    same = ("id", "event", "job_id", "status", "created_at")
    fields = {name: getattr(delivery, name) for name in same}
    return DeliveryView(**fields, attempts=attempts, next_at=delivery.due)
