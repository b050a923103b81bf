"""Interim results at many listeners, beside a bare fan-out: see `benchmarks.live`."""

from benchmarks.live import bare_latency, bare_server, publisher, whole_latency
from benchmarks.peers.figures import Listening
from benchmarks.peers.systems import Machinery
from tests.system.scaled import scaled

LISTENERS = (1, 10, 100, 1000)
QUICK = (1, 10, 100)
SECONDS, QUICK_SECONDS = 6.0, 3.0


async def measure(on: Machinery, *, quick: bool) -> list[Listening]:
    """Return publish -> client times for each number of listeners, ours and the bare fan-out's."""
    counts, seconds = (QUICK, QUICK_SECONDS) if quick else (LISTENERS, SECONDS)
    async with bare_server(on.rabbit.url) as url:
        bare = [await bare_latency(on.rabbit.url, url, listeners=each, seconds=seconds) for each in counts]
    settings = {
        name: {"mongo_prefix": "listeners-"} for name in ("gateway", "registry", "scheduler", "executor")
    }
    async with (
        scaled(on.directory, on.rabbit.url, on.mongo.url, settings=settings) as whole,
        publisher(whole.urls[0]) as (api, program),
    ):
        ours = [await whole_latency(api, program, listeners=each, seconds=seconds) for each in counts]
    return [
        Listening(
            listeners=count,
            p50_ms=own["p50_ms"],
            p95_ms=own["p95_ms"],
            bare_p50_ms=without["p50_ms"],
            bare_p95_ms=without["p95_ms"],
        )
        for count, own, without in zip(counts, ours, bare, strict=True)
    ]
