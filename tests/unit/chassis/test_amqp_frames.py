"""The bytes of a message for RabbitMQ."""

from dataclasses import replace

import pytest
from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from qrt_chassis.bus.amqp.frames import Address, is_plain, plain_frames, properties_of
from qrt_chassis.bus.wire import Envelope

ENVELOPE = Envelope(body=b'{"text":"\xc3\xa4"}', schema="job.output", version=1)
ADDRESS = Address(exchange="qrt.events", key="job.1.output")


@pytest.mark.parametrize(
    ("envelope", "address"),
    [
        (ENVELOPE, ADDRESS),
        (replace(ENVELOPE, version=300, request_id="r-1"), ADDRESS),
        (replace(ENVELOPE, traceparent="00-1-2-01"), replace(ADDRESS, mandatory=True)),
        (ENVELOPE, Address(exchange="", key="letters.dead", persistent=False)),
    ],
)
def test_a_plain_message_has_the_bytes_that_the_driver_gives_it(envelope: Envelope, address: Address) -> None:
    publish = Basic.Publish(exchange=address.exchange, routing_key=address.key, mandatory=address.mandatory)
    header = ContentHeader(properties=properties_of(envelope, address), body_size=len(envelope.body))
    theirs = ChannelFrame.marshall(7, [publish, header, ContentBody(envelope.body)])

    assert is_plain(envelope, address)
    assert plain_frames(envelope, address, channel=7) == theirs.payload


@pytest.mark.parametrize(
    ("envelope", "address"),
    [
        (replace(ENVELOPE, body=b""), ADDRESS),
        (replace(ENVELOPE, expires_seconds=1.0), ADDRESS),
        (ENVELOPE, replace(ADDRESS, reply_to="somebody")),
        (ENVELOPE, replace(ADDRESS, headers={"reason": "invalid"})),
    ],
)
def test_what_says_more_is_not_plain(envelope: Envelope, address: Address) -> None:
    assert not is_plain(envelope, address)
