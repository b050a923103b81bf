"""How the runtime grows: with jobs that wait, listeners, executors and lines of log."""

from benchmarks.peers.figures import Growth
from benchmarks.peers.growth import backlog, executors, listeners, logs
from benchmarks.peers.systems import Machinery


async def grow(on: Machinery, *, quick: bool) -> Growth:
    """Measure all of it; the backlog last, as it leaves the most behind in the database."""
    return Growth(
        listeners=await listeners.measure(on, quick=quick),
        executors=await executors.measure(on, quick=quick),
        logs=await logs.measure(on, quick=quick),
        queued=await backlog.measure(on, quick=quick),
    )
