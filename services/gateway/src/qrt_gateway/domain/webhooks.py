"""Webhooks and deliveries: what is sent, how it is signed, when it is tried again. Pure."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from qrt_contracts.api_webhooks import (
    TEST_EVENT,
    DeliveryStatus,
    JobLinks,
    JobNews,
    ToldJob,
    WebhookEventType,
    WebhookPayload,
)
from qrt_contracts.ids import new_id
from qrt_contracts.jobs import JobSummary
from qrt_contracts.states import JobState

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
KEY_BYTES = 32

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=6)
PAUSE_GROWTH = 3
PATIENCE = timedelta(hours=24)
"""How long a delivery is tried, from its first attempt to its last."""
JITTER = 0.2
"""The part of a pause that is random, either way."""
HELD = timedelta(seconds=10)
"""How soon a delivery of an account that is disabled is looked at again."""
FAILING = timedelta(days=5)
"""A webhook none of whose attempts succeeded for so long is switched off."""
GONE = 410
"""What a receiver answers that wants no more: its webhook is switched off at once."""
REMEMBERED_ATTEMPTS = 50

_EVENTS = {
    JobState.SUCCEEDED: WebhookEventType.SUCCEEDED,
    JobState.FAILED: WebhookEventType.FAILED,
    JobState.CANCELLED: WebhookEventType.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where news of an account's jobs go."""

    id: str
    owner: str
    url: str
    events: tuple[WebhookEventType, ...]
    description: str
    sealed: str
    """Its secret."""
    created_at: datetime
    updated_at: datetime
    enabled: bool = True
    disabled_reason: str | None = None
    failing_since: datetime | None = None

    def __repr__(self) -> str:
        return f"<webhook {self.id}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attempt: either an answer's status or why there was none."""

    at: datetime
    seconds: float
    status_code: int | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """The receiver has it."""
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def told(self) -> str:
        """What went wrong, for people."""
        return self.error or f"it answered {self.status_code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One piece of news on its way to one webhook."""

    id: str
    webhook: str
    order: str
    """Sorts as it was made."""
    event: str
    job_id: str | None
    body: str
    created_at: datetime
    began_at: datetime
    """When the present round of attempts began: by the event, or when it was sent again by hand."""
    due: datetime | None
    """When it is tried next; while an attempt is made, when others may think that attempt lost."""
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: tuple[Tried, ...] = ()
    tries: int = 0
    """Attempts of the present round."""
    asked_for: bool = False
    """By hand: it is sent to a webhook that is switched off, too."""
    ended_at: datetime | None = None


def event_of(status: JobState) -> WebhookEventType | None:
    """Return the type of the news that a job has ended this way; None if it has not."""
    return _EVENTS.get(status)


def news(webhook: str, event: WebhookEventType, job: JobSummary, *, base: str, now: datetime) -> Delivery:
    """Return the delivery of a job's end; the same one whenever it is made again."""
    at = f"{base}/v1/jobs/{job.id}"
    links = JobLinks(
        job=at, result=f"{at}/result", logs=f"{at}/logs", outputs=f"{at}/outputs", files=f"{at}/files"
    )
    payload = WebhookPayload(
        type=event, timestamp=job.ended_at or now, data=JobNews(job=ToldJob.of(job), links=links)
    )
    name = hashlib.sha256(f"{webhook}:{job.id}:{event}".encode()).hexdigest()[:32]
    return _made(name, webhook, event, job_id=job.id, body=payload.model_dump_json(), now=now)


def trial(webhook: str, *, now: datetime) -> Delivery:
    """Return the delivery of a test."""
    stamp = now.isoformat().replace("+00:00", "Z")
    body = f'{{"type":"{TEST_EVENT}","timestamp":"{stamp}","data":{{"webhook_id":"{webhook}"}}}}'
    return replace(_made(new_id(), webhook, TEST_EVENT, job_id=None, body=body, now=now), asked_for=True)


def _made(
    identifier: str, webhook: str, event: str, *, job_id: str | None, body: str, now: datetime
) -> Delivery:
    return Delivery(
        id=identifier,
        webhook=webhook,
        order=new_id(),
        event=event,
        job_id=job_id,
        body=body,
        created_at=now,
        began_at=now,
        due=now,
    )


def again(delivery: Delivery, *, now: datetime) -> Delivery:
    """Return a delivery that is to be tried from the beginning, because somebody asked for it."""
    return replace(
        delivery,
        status=DeliveryStatus.PENDING,
        began_at=now,
        due=now,
        tries=0,
        asked_for=True,
        ended_at=None,
    )


def after(delivery: Delivery, tried: Tried, *, now: datetime, chance: float) -> Delivery:
    """Return a delivery after an attempt; `chance`, from 0 to 1, spreads the next one."""
    one_more = _with(delivery, tried)
    if tried.succeeded:
        return _ended(one_more, DeliveryStatus.DELIVERED, now=now)
    due = now + pause(one_more.tries, chance=chance)
    if tried.status_code == GONE or due - delivery.began_at > PATIENCE:
        return _ended(one_more, DeliveryStatus.FAILED, now=now)
    return replace(one_more, due=due)


def given_up(delivery: Delivery, why: Tried, *, now: datetime) -> Delivery:
    """Return a delivery that cannot be tried."""
    return _ended(_with(delivery, why), DeliveryStatus.FAILED, now=now)


def held(delivery: Delivery, *, now: datetime) -> Delivery:
    """Return a delivery that waits for its owner's account to be enabled again, if that is not too late."""
    if now - delivery.began_at > PATIENCE:
        return given_up(delivery, Tried(at=now, seconds=0.0, error="its account is disabled"), now=now)
    return replace(delivery, due=now + HELD)


def _with(delivery: Delivery, tried: Tried) -> Delivery:
    attempts = (*delivery.attempts, tried)[-REMEMBERED_ATTEMPTS:]
    return replace(delivery, attempts=attempts, tries=delivery.tries + 1)


def _ended(delivery: Delivery, status: DeliveryStatus, *, now: datetime) -> Delivery:
    return replace(delivery, status=status, due=None, ended_at=now)


def pause(tries: int, *, chance: float) -> timedelta:
    """Return how long to wait after so many attempts: from seconds to hours, a little at random."""
    seconds = FIRST_PAUSE.total_seconds() * PAUSE_GROWTH ** min(tries - 1, 32)
    bound = min(seconds, LONGEST_PAUSE.total_seconds())
    return timedelta(seconds=bound * (1 + JITTER * (2 * chance - 1)))


def why_off(webhook: Webhook, tried: Tried, *, now: datetime) -> str | None:
    """Return why a failed attempt is the last straw for its webhook; None if it is not."""
    if tried.status_code == GONE:
        return f"its receiver answered {GONE}: it wants no more"
    since = webhook.failing_since
    if since is not None and now - since >= FAILING:
        return f"no delivery has succeeded since {since:%Y-%m-%dT%H:%M:%SZ}; at last {tried.told}"
    return None


def new_signing_secret() -> str:
    """Return a new secret: 256 random bits."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def signed(delivery: Delivery, secret: str, *, now: datetime) -> dict[str, str]:
    """Return the headers that tell a receiver who sent a delivery, and that this is the whole of it."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    stamp = str(int(now.timestamp()))
    content = f"{delivery.id}.{stamp}.{delivery.body}".encode()
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": delivery.id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
    }
