"""Submits tasks to the Celery peer and prints {"ms_p50", "jobs_per_s", "lost"}; runs in `.venv/bench`.

A task that is given to a worker process which is just ending is sometimes never run: it counts as lost, and
the rate is that of the others.
"""

import json
import statistics
import time
from typing import Any

from celery.exceptions import TimeoutError as NeverCame

from benchmarks.celery_peer import hello

LATENCY_RUNS = 10
THROUGHPUT_JOBS = 40
LOST_SECONDS = 20.0
"""Without any result; one takes about half a second."""


def main() -> None:
    """Measure latency one by one, then throughput at once."""
    hello.delay({}).get(timeout=120)
    times, lost = [], 0
    for _ in range(LATENCY_RUNS):
        start = time.perf_counter()
        if came(hello.delay({})):
            times.append(time.perf_counter() - start)
        else:
            lost += 1
    start = last = time.perf_counter()
    done = 0
    for task in [hello.delay({}) for _ in range(THROUGHPUT_JOBS)]:
        if came(task):
            done, last = done + 1, time.perf_counter()
        else:
            lost += 1
    rate = done / (last - start)
    print(json.dumps({"ms_p50": statistics.median(times) * 1000, "jobs_per_s": rate, "lost": lost}))


def came(task: Any) -> bool:
    """Wait for a task's result; tell whether it came."""
    try:
        task.get(timeout=LOST_SECONDS)
    except NeverCame:
        return False
    return True


if __name__ == "__main__":
    main()
