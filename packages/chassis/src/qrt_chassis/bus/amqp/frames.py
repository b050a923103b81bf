"""A message as RabbitMQ takes it: where it goes, its properties, and the bytes of it."""

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pamqp import encode
from pamqp import frame as driver
from pamqp.commands import Basic
from pamqp.constants import FRAME_BODY, FRAME_END_CHAR, FRAME_HEADER

from qrt_chassis.bus.wire import Envelope

CONTENT_TYPE = "application/json"
_PERSISTENT, _TRANSIENT = 2, 1
_FRAME = struct.Struct(">BHI")
_CONTENT = struct.Struct(">HxxQ")
_TIMESTAMP = struct.Struct(">Q")
_USUAL = ("content_type", "headers", "delivery_mode", "correlation_id", "message_id", "timestamp")
_FLAGS = struct.pack(">H", sum(Basic.Properties.flags[name] for name in _USUAL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a message goes. `confirmed`: wait until the broker has it safely."""

    exchange: str
    key: str
    mandatory: bool = False
    confirmed: bool = True
    persistent: bool = True
    reply_to: str | None = None
    headers: dict[str, Any] = field(default_factory=dict)


def properties_of(envelope: Envelope, address: Address) -> Basic.Properties:
    """Return a message's properties for the driver."""
    lifetime = envelope.expires_seconds
    return Basic.Properties(
        content_type=CONTENT_TYPE,
        delivery_mode=_PERSISTENT if address.persistent else _TRANSIENT,
        headers={**envelope.headers(), **address.headers},
        message_id=envelope.message_id,
        correlation_id=envelope.message_id,
        reply_to=address.reply_to,
        timestamp=envelope.sent_at,
        expiration=None if lifetime is None else str(max(1, int(lifetime * 1000))),
    )


def is_plain(envelope: Envelope, address: Address) -> bool:
    """Tell whether a message has a body, and no properties but those that all have."""
    return bool(envelope.body) and not (
        address.headers or address.reply_to is not None or envelope.expires_seconds is not None
    )


def plain_frames(envelope: Envelope, address: Address, *, channel: int) -> bytes:
    """Return the frames of a message that `is_plain`, its body in one.

    The same bytes as the driver makes of it; what is the same in many messages is made once.
    """
    name = envelope.message_id.encode()
    name = bytes((len(name),)) + name
    content = b"".join(
        (
            _CONTENT.pack(Basic.frame_id, len(envelope.body)),
            _first_properties(tuple(envelope.headers().items()), address.persistent),
            name,  # as correlation id
            name,
            _TIMESTAMP.pack(int(envelope.sent_at.timestamp())),
        )
    )
    return b"".join(
        (
            _publish_frame(channel, address.exchange, address.key, address.mandatory),
            _FRAME.pack(FRAME_HEADER, channel, len(content)),
            content,
            FRAME_END_CHAR,
            _FRAME.pack(FRAME_BODY, channel, len(envelope.body)),
            envelope.body,
            FRAME_END_CHAR,
        )
    )


@lru_cache(maxsize=256)
def _publish_frame(channel: int, exchange: str, key: str, mandatory: bool) -> bytes:
    return driver.marshal(Basic.Publish(exchange=exchange, routing_key=key, mandatory=mandatory), channel)


@lru_cache(maxsize=256)
def _first_properties(headers: tuple[tuple[str, str | int], ...], persistent: bool) -> bytes:
    return b"".join(
        (
            _FLAGS,
            encode.short_string(CONTENT_TYPE),
            encode.field_table(dict(headers)),
            encode.octet(_PERSISTENT if persistent else _TRANSIENT),
        )
    )
