"""The native surface's shapes of webhooks and their deliveries; see `qrt_contracts.api` for the rules.

What is sent is signed as the Standard Webhooks specification says: `webhook-id`, `webhook-timestamp` and
`webhook-signature`, `v1,` and the base64 of an HMAC-SHA256 over `{id}.{timestamp}.{body}`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator

from qrt_contracts.api import _Request, _View
from qrt_contracts.faults import Problem
from qrt_contracts.jobs import JobSummary
from qrt_contracts.states import JobState
from qrt_contracts.values import Usage


class WebhookEventType(StrEnum):
    """What a webhook can be told of."""

    SUCCEEDED = "job.succeeded"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"


TEST_EVENT = "webhook.test"
"""The type of what `POST /v1/webhooks/{id}/test` sends."""

_Url = Annotated[
    str, Field(min_length=1, max_length=2048, json_schema_extra={"pattern": "^https?://[^/\\s]+"})
]
_Events = Annotated[tuple[WebhookEventType, ...], Field(min_length=1, max_length=16)]
_Text = Annotated[str, Field(max_length=1000)]


def _once(events: tuple[WebhookEventType, ...] | None) -> tuple[WebhookEventType, ...] | None:
    return None if events is None else tuple(dict.fromkeys(events))


class CreateWebhookRequest(_Request):
    """`POST /v1/webhooks`: where the news of the caller's jobs are to be sent."""

    url: _Url
    """Of a receiver that everybody could reach: addresses inside the operator's network are refused."""
    events: _Events = tuple(WebhookEventType)
    description: _Text = ""

    _each_once = field_validator("events")(_once)


class UpdateWebhookRequest(_Request):
    """`PATCH /v1/webhooks/{id}`; what is absent stays as it is."""

    url: _Url | None = None
    events: _Events | None = None
    description: _Text | None = None
    enabled: bool | None = None
    """Switches it off, or on again after its receiver has failed for days."""

    _each_once = field_validator("events")(_once)


class WebhookView(_View):
    """A webhook without its secret."""

    id: str
    url: str
    events: tuple[WebhookEventType, ...]
    description: str
    enabled: bool
    disabled_reason: str | None = None
    """Why it is switched off."""
    failing_since: datetime | None = None
    """When the first attempt failed that no success has followed."""
    created_at: datetime
    updated_at: datetime


class WebhookIssued(WebhookView):
    """A new webhook. `secret` is shown this once; it is kept sealed."""

    secret: str
    """`whsec_` and the base64 of the key that signs."""


class WebhookList(_View):
    """`GET /v1/webhooks`: the caller's own, oldest first."""

    webhooks: tuple[WebhookView, ...]


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryAttempt(_View):
    """One try to deliver. Any status of 200 to 299 is a success; redirects are not followed."""

    at: datetime
    status_code: int | None = None
    """What the receiver answered."""
    error: str | None = None
    """Why there was no answer."""
    seconds: float
    """How long it took."""


class DeliveryView(_View):
    """One piece of news on its way to one webhook."""

    id: str
    """The header `webhook-id` of every attempt."""
    event: str
    """The type of what is sent."""
    job_id: str | None
    """None for a test."""
    status: DeliveryStatus
    attempts: tuple[DeliveryAttempt, ...]
    """The newest 50, oldest first."""
    next_at: datetime | None
    """When it is tried next, while it is pending."""
    created_at: datetime


class DeliveryList(_View):
    """`GET /v1/webhooks/{id}/deliveries?limit=&cursor=`, newest first; `next_cursor` is null at last."""

    deliveries: tuple[DeliveryView, ...]
    next_cursor: str | None


# --- what receivers get ---------------------------------------------------------------------------


class ToldProgram(_View):
    """The program that a job ran."""

    id: str
    name: str
    version: int


class ToldJob(_View):
    """A job that has ended, as a `JobView` shows it, without what may be large."""

    id: str
    owner: str
    program: ToldProgram
    status: JobState
    attempt: int
    problem: Problem | None
    partial: bool
    priority: int
    tags: tuple[str, ...]
    backend: str | None
    last_output: int
    usage: Usage | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, job: JobSummary) -> Self:
        """Return what is told of a job."""
        same = {name: getattr(job, name) for name in cls.model_fields if name != "program"}
        return cls(program=ToldProgram(id=job.program_id, name=job.program_name, version=job.version), **same)


class JobLinks(_View):
    """Where to read more, for who has a token."""

    job: str
    result: str
    logs: str
    outputs: str
    files: str


class JobNews(_View):
    """The `data` of news of a job."""

    job: ToldJob
    links: JobLinks


class WebhookPayload(_View):
    """The body of a request to a webhook."""

    type: str
    timestamp: datetime
    data: JobNews
