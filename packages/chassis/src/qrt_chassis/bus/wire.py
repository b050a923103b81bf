"""A message as it travels: JSON bytes, and headers that say how to read them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from qrt_chassis import tracing
from qrt_chassis.logging import bound
from qrt_contracts.ids import new_id
from qrt_contracts.message import Message

SCHEMA = "schema"
SCHEMA_VERSION = "schema-version"
REQUEST_ID = "request-id"
TRACEPARENT = "traceparent"


UNKNOWN_SCHEMA = "unknown schema"
"""Why a message of another release cannot be read: its kind or its version is not known here."""


class NotReadable(Exception):
    """A message cannot be read: `reason` names the kind of fault, the text says what is wrong."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a transport carries. Equal `message_id`: the same message, sent or delivered again."""

    body: bytes
    schema: str
    version: int
    message_id: str = field(default_factory=new_id)
    request_id: str | None = None
    sent_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    expires_seconds: float | None = None
    traceparent: str | None = None
    """The span that sent it, where spans are made."""

    def headers(self) -> dict[str, str | int]:
        """Return the headers that `envelope_of` reads back."""
        found: dict[str, str | int] = {SCHEMA: self.schema, SCHEMA_VERSION: self.version}
        if self.request_id is not None:
            found[REQUEST_ID] = self.request_id
        if self.traceparent is not None:
            found[TRACEPARENT] = self.traceparent
        return found


def seal(message: Message, *, expires_seconds: float | None = None) -> Envelope:
    """Return `message` ready to travel, with the request id that is bound here."""
    request_id = bound("request_id")
    return Envelope(
        body=message.model_dump_json().encode(),
        schema=message.schema_name,
        version=message.schema_version,
        request_id=None if request_id is None else str(request_id),
        traceparent=tracing.carried(),
        expires_seconds=message.expires_seconds if expires_seconds is None else expires_seconds,
    )


class Readers:
    """The message classes that one subscription reads."""

    def __init__(self, classes: Iterable[type[Any]]) -> None:
        self._by_schema: Mapping[tuple[str, int], type[Message]] = {
            (each.schema_name, each.schema_version): each for each in classes
        }

    def open(self, envelope: Envelope) -> Message:
        """Return the message in `envelope`, validated.

        Raises:
            NotReadable: no class here has its schema and version, or its body does not validate.
        """
        known = self._by_schema.get((envelope.schema, envelope.version))
        if known is None:
            raise NotReadable(UNKNOWN_SCHEMA, f"nobody here reads {envelope.schema!r} v{envelope.version}")
        try:
            return known.model_validate_json(envelope.body)
        except ValidationError as error:
            # The input stays out of the text: it may hold a secret.
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            detail = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in faults[:10])
            raise NotReadable("invalid", detail) from None


def matches(pattern: str, key: str) -> bool:
    """Tell whether a topic pattern takes a routing key: `*` is one word, `#` any number of them."""
    return _matches(pattern.split("."), key.split("."))


def _matches(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    head, rest = pattern[0], pattern[1:]
    if head == "#":
        return any(_matches(rest, words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and head in ("*", words[0]) and _matches(rest, words[1:])
