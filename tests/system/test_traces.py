"""One job's spans through all services and the bus, in one process on the embedded database."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from qrt_chassis import tracing
from qrt_chassis.otel import OtelTracer
from qrt_standalone.run import compose, wait_until_reachable
from qrt_standalone.settings import StandaloneSettings
from tests.support.composed import running
from tests.support.processes import free_port
from tests.support.waiting import wait_until
from tests.system.client import Api
from tests.system.composition import PROGRAM_PYTHON

HELLO = "def run(task, userpub, params):\n    print('hello')\n    return 1\n"
EXPECTED = {
    "HTTP POST": None,
    "registry.resolve_run request": "HTTP POST",
    "registry.resolve_run process": "registry.resolve_run request",
    "scheduler.submit_job request": "HTTP POST",
    "scheduler.submit_job process": "scheduler.submit_job request",
    "job.submitted publish": "outbox",
    "job.submitted process": "job.submitted publish",
    "dispatch": "job.submitted process",
    "work.run_attempt publish": "dispatch",
    "work.run_attempt process": "work.run_attempt publish",
    "attempt": "work.run_attempt process",
    "sandbox": "attempt",
    "job.output process": "job.output publish",
    "job.attempt_finished publish": "attempt",
    "job.attempt_finished process": "job.attempt_finished publish",
    "job.ended publish": "outbox",
    "job.changed publish": "outbox",
}
"""The spans that there must be, and whose child each is."""


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(OtelTracer(provider))
    yield exporter
    tracing.use(None)
    provider.shutdown()


def trace_of(found: tuple[ReadableSpan, ...], path: str) -> list[ReadableSpan]:
    """Return the spans of the trace that began with a request to `path`."""
    (root,) = (
        each
        for each in found
        if each.name == "HTTP POST" and each.attributes and each.attributes["path"] == path
    )
    assert root.context is not None
    trace_id = root.context.trace_id
    return [each for each in found if each.context is not None and each.context.trace_id == trace_id]


def parents(trace: list[ReadableSpan]) -> set[tuple[str, str | None]]:
    """Return (name, name of the parent) of each span."""
    names = {each.context.span_id: each.name for each in trace if each.context is not None}
    return {(each.name, None if each.parent is None else names.get(each.parent.span_id)) for each in trace}


async def test_a_trace_follows_one_job_from_its_request_to_the_news_of_its_end(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    settings = StandaloneSettings(
        data=tmp_path / "data",
        host="127.0.0.1",
        port=free_port(),
        mongo_url=None,
        program_python=PROGRAM_PYTHON,
        slots=1,
        log_level="WARNING",
    )
    async with compose(settings) as whole, running(*whole.services):
        await wait_until_reachable(settings.host, settings.port)
        headers = {"Authorization": f"Bearer {whole.token}"}
        async with httpx.AsyncClient(base_url=whole.url, headers=headers, timeout=60) as client:
            api = Api(client)
            job = await api.submit(await api.upload(HELLO))
            assert (await api.result(job))["status"] == "SUCCEEDED"

            def complete() -> bool:
                told = parents(trace_of(spans.get_finished_spans(), "/v1/jobs"))
                return set(EXPECTED.items()) <= told

            await wait_until(complete, description="every span", seconds=30)
    trace = trace_of(spans.get_finished_spans(), "/v1/jobs")
    (attempt,) = (each for each in trace if each.name == "attempt")
    assert attempt.attributes is not None
    assert attempt.attributes["job_id"] == job["id"]
    assert not {"executor.heartbeat publish", "executor.heartbeat process"} & {each.name for each in trace}


def test_nothing_is_carried_and_nothing_made_where_nobody_wants_spans() -> None:
    assert tracing.carried() is None
    assert tracing.step("a") is tracing.begin("b") is tracing.step("c", parent="00-1-1-01")
