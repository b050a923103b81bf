"""Dead letters: messages set aside with the reason why."""

from dataclasses import dataclass
from datetime import datetime

DEAD_CAPACITY = 10_000
"""Letters a dead letter queue keeps; beyond it the oldest are dropped."""

TRANSIENT_DEAD = "transient.dead"
"""Where the dead letters of all transient queues go: such a queue leaves nothing behind itself."""

REASON = "dead-reason"
ERROR = "dead-error"
QUEUE = "dead-queue"
FIRST_SEEN = "dead-first-seen"
DIED_AT = "dead-at"

ERROR_CHARACTERS = 4000
"""How much of an error's text a letter keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that nobody could handle."""

    message_id: str
    queue: str
    """The queue it died in."""
    schema: str
    reason: str
    """`invalid`, `unknown schema`, `failed` (its handler, too often), or `delivery_limit` (the
    broker gave up: its handlers' processes died)."""
    error: str
    first_seen: datetime | None
    died_at: datetime | None
    body: bytes
