"""Spans that follow one job through all services, where the operator wants them.

Off by default, and then next to free: nothing is imported, made or carried. A trace begins with an HTTP
request and goes on in the header `traceparent` (W3C Trace Context) of the messages that it brings about. What
nobody's request has caused, such as a heartbeat, is no part of any.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, Protocol

Kind = Literal["server", "client", "producer", "consumer", "internal"]
_NOTHING: AbstractContextManager[None] = nullcontext()


class TracingMissing(Exception):
    """Spans are wanted, and what makes them is not installed."""


class Tracer(Protocol):
    """What makes spans."""

    def span(
        self, name: str, *, kind: Kind, parent: str | None, attributes: dict[str, str | int]
    ) -> AbstractContextManager[None]:
        """Return a span around what is done inside it; it is the parent of those made there."""

    def carried(self) -> str | None:
        """Return the present span as a `traceparent`; None outside of any."""


class _Present:
    tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Make spans with a tracer from now on; None makes none."""
    _Present.tracer = tracer


def begin(name: str, *, parent: str | None = None, **attributes: str | int) -> AbstractContextManager[None]:
    """Return the span of a request from outside: the beginning of a trace, or a part of the caller's."""
    tracer = _Present.tracer
    if tracer is None:
        return _NOTHING
    return tracer.span(name, kind="server", parent=parent, attributes=attributes)


def step(
    name: str, *, kind: Kind = "internal", parent: str | None = None, **attributes: str | int
) -> AbstractContextManager[None]:
    """Return the span of a part of what a trace follows: of `parent`, or of the present span without one."""
    tracer = _Present.tracer
    if tracer is None or (parent is None and tracer.carried() is None):
        return _NOTHING
    return tracer.span(name, kind=kind, parent=parent, attributes=attributes)


def carried() -> str | None:
    """Return what lets another process go on with the present trace; None outside of any."""
    tracer = _Present.tracer
    return None if tracer is None else tracer.carried()


@contextmanager
def traced(service: str, url: str | None) -> Iterator[None]:
    """Send spans to `url` (OTLP over HTTP) inside the context; to nowhere if it is None.

    Raises:
        TracingMissing: the extra `tracing` of this package is not installed.
    """
    if url is None:
        yield
        return
    try:
        from qrt_chassis.otel import exporting
    except ImportError as error:
        raise TracingMissing(f"traces need the extra: pip install 'qrt-chassis[tracing]' ({error})") from None
    with exporting(service, url) as tracer:
        use(tracer)
        try:
            yield
        finally:
            use(None)
