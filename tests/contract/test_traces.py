"""A trace goes on where a message arrives, on both transports."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider

from qrt_chassis import tracing
from qrt_chassis.bus.port import Bus, Subscription
from qrt_chassis.otel import OtelTracer
from tests.contract.messages import Noted
from tests.contract.transports import fresh
from tests.support.waiting import wait_until


@pytest.fixture
def traced() -> Iterator[None]:
    provider = TracerProvider()
    tracing.use(OtelTracer(provider))
    yield
    tracing.use(None)
    provider.shutdown()


@pytest.mark.usefixtures("traced")
async def test_a_handler_goes_on_with_the_trace_of_its_message(bus: Bus) -> None:
    topic, seen = fresh("a"), dict[int, str | None]()

    async def handle(note: Noted) -> None:
        seen[note.number] = tracing.carried()

    sample = Noted(topic=topic, number=1)
    queue = Subscription(queue=fresh("q"), bindings=((sample.exchange, sample.routing_key()),), durable=False)
    await bus.subscribe(queue, {Noted: handle})
    with tracing.begin("request"):
        here = tracing.carried()
        await bus.publish(sample)
    await bus.publish(Noted(topic=topic, number=2))
    await wait_until(lambda: len(seen) == 2, description="both messages")
    assert here is not None
    assert seen[1] is not None
    assert (seen[1].split("-")[1], seen[1] == here) == (here.split("-")[1], False)
    assert seen[2] is None, "nobody's request has caused it"
