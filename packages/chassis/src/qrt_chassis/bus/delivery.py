"""What becomes of a delivery: the same rules on every transport."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from qrt_chassis import metrics, tracing
from qrt_chassis.backoff import Backoff
from qrt_chassis.bus.port import AtOnce, Handlers
from qrt_chassis.bus.wire import Envelope, NotReadable, Readers
from qrt_chassis.logging import bind
from qrt_chassis.passing import is_passing

log = logging.getLogger(__name__)


class Delivery(Protocol):
    """One message in the hands of one consumer, not yet acknowledged."""

    @property
    def envelope(self) -> Envelope:
        """The message."""

    @property
    def earlier(self) -> int:
        """How often it was delivered before and came back unacknowledged."""

    @property
    def received(self) -> float:
        """When it arrived, on the monotonic clock."""

    @property
    def held(self) -> bool:
        """False once the broker has taken it back: another consumer may have it."""

    async def accept(self) -> None:
        """Acknowledge it."""

    async def give_back(self) -> None:
        """Return it to its queue."""

    async def bury(self, reason: str, error: str) -> None:
        """Move it to the dead letter queue; acknowledged once it is safely there."""


@dataclass(frozen=True, slots=True)
class Dead:
    """The verdict that a message cannot be handled."""

    reason: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a subscription treats what it is given."""

    handlers: Handlers
    readers: Readers
    max_deliveries: int

    @classmethod
    def of(cls, handlers: Handlers, *, max_deliveries: int) -> "Policy":
        """Return the policy for a set of handlers."""
        return cls(handlers=handlers, readers=Readers(handlers), max_deliveries=max_deliveries)


async def settle(delivery: Delivery, policy: Policy, *, stopping: asyncio.Event) -> None:
    """Handle one delivery and end it: acknowledged, buried, or given back because we stop."""
    envelope = delivery.envelope
    if delivery.earlier:
        metrics.REDELIVERIES.labels(envelope.schema).inc()
    if expired(delivery):
        await delivery.accept()
        outcome = "expired"
    else:
        with (
            bind(message_id=envelope.message_id, **_request(envelope)),
            tracing.step(f"{envelope.schema} process", kind="consumer", parent=envelope.traceparent),
        ):
            outcome = await _conclude(delivery, await _handle(delivery, policy, stopping=stopping))
    metrics.DELIVERIES.labels(envelope.schema, outcome).inc()


def handled_at_once(delivery: Delivery, policy: Policy) -> bool:
    """Handle a delivery without waiting, if all is well with it; then it only has to be acknowledged.

    Whatever is unusual about it (a failing handler, too) is left to `settle`.
    """
    envelope = delivery.envelope
    if delivery.earlier or envelope.traceparent is not None or expired(delivery):
        return False
    try:
        message = policy.readers.open(envelope)
    except NotReadable:
        return False
    handler = policy.handlers[type(message)]
    if not isinstance(handler, AtOnce):
        return False
    began = time.perf_counter()
    try:
        handler.handle(message)
    except Exception:  # noqa: BLE001 - it is called again, by who decides what its error means
        return False
    metrics.HANDLER_SECONDS.labels(envelope.schema).observe(time.perf_counter() - began)
    metrics.DELIVERIES.labels(envelope.schema, "handled").inc()
    return True


def expired(delivery: Delivery) -> bool:
    """Tell whether a message has lost its worth while it waited here."""
    lifetime = delivery.envelope.expires_seconds
    return lifetime is not None and time.monotonic() - delivery.received > lifetime


def _request(envelope: Envelope) -> dict[str, str | int]:
    return {} if envelope.request_id is None else {"request_id": envelope.request_id}


async def _conclude(delivery: Delivery, verdict: Dead | bool) -> str:
    if verdict is True:
        await delivery.accept()
        return "handled"
    if verdict is False:
        await delivery.give_back()
        return "abandoned"
    schema = delivery.envelope.schema
    log.error("dead letter: %s (%s): %s", schema, verdict.reason, verdict.error)
    await delivery.bury(verdict.reason, verdict.error)
    metrics.DEAD_LETTERS.labels(schema, verdict.reason).inc()
    return "dead"


async def _handle(delivery: Delivery, policy: Policy, *, stopping: asyncio.Event) -> Dead | bool:
    """Call the handler until it succeeds (True), has failed too often, or we must let go (False).

    The tries are made here and not by returning the message to its queue, so that a queue read
    by one handler at a time keeps its order. Deliveries that came back before count as tries.
    """
    try:
        message = policy.readers.open(delivery.envelope)
    except NotReadable as error:
        return Dead(error.reason, str(error))
    handler = policy.handlers[type(message)]
    failures = delivery.earlier
    backoff: Backoff | None = None
    while delivery.held:
        raised = await _attempt(handler, message)
        if raised is None:
            return True
        if not is_passing(raised):
            failures += 1
            if failures >= policy.max_deliveries:
                return Dead("failed", f"{type(raised).__name__}: {raised}")
        backoff = backoff or Backoff()
        if await _stopped_within(stopping, backoff.next()):
            return False
    return False


async def _attempt(handler: Callable[[Any], Awaitable[None]], message: Any) -> Exception | None:
    schema: str = message.schema_name
    began = time.perf_counter()
    try:
        await handler(message)
    except Exception as error:  # the bus consumer decides what an error means
        if is_passing(error):
            metrics.HANDLER_ERRORS.labels(schema, "passing").inc()
            log.warning("handling %s is held up: %r", schema, error)
        else:
            metrics.HANDLER_ERRORS.labels(schema, "failing").inc()
            log.exception("handling %s failed", schema)
        return error
    finally:
        metrics.HANDLER_SECONDS.labels(schema).observe(time.perf_counter() - began)
    return None


async def _stopped_within(stopping: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return False
    return True
