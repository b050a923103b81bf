"""Spans by OpenTelemetry: the only module that imports it, and imported only where spans are wanted."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from qrt_chassis.tracing import Kind

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_KINDS = {
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
    "internal": trace.SpanKind.INTERNAL,
}


class OtelTracer:
    """The `tracing.Tracer` of a provider."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("quafu-runtime")

    @contextmanager
    def span(
        self, name: str, *, kind: Kind, parent: str | None, attributes: dict[str, str | int]
    ) -> Iterator[None]:
        """Return a span around what is done inside it."""
        context = None if parent is None else _context(parent)
        with self._tracer.start_as_current_span(
            name, context=context, kind=_KINDS[kind], attributes=attributes
        ):
            yield

    def carried(self) -> str | None:
        """Return the present span as a `traceparent`; None outside of any."""
        found = trace.get_current_span().get_span_context()
        if not found.is_valid:
            return None
        return f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}"


def _context(traceparent: str) -> Context:
    """Return the context that a `traceparent` tells of; an empty one if it is malformed."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return Context()
    remote = trace.SpanContext(
        trace_id=int(found[1], 16),
        span_id=int(found[2], 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(found[3], 16)),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(remote), Context())


@contextmanager
def exporting(service: str, url: str) -> Iterator[OtelTracer]:
    """Return a tracer whose spans go to `url`, in batches, from a thread of its own."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    try:
        yield OtelTracer(provider)
    finally:
        provider.shutdown()
