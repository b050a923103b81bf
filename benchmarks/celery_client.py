"""Submits tasks to the Celery peer and prints {"ms_p50", "jobs_per_s"}; runs in `.venv/bench`."""

import json
import statistics
import time

from benchmarks.celery_peer import hello

LATENCY_RUNS = 10
THROUGHPUT_JOBS = 40


def main() -> None:
    """Measure latency one by one, then throughput at once."""
    hello.delay({}).get(timeout=120)
    times = []
    for _ in range(LATENCY_RUNS):
        start = time.perf_counter()
        hello.delay({}).get(timeout=120)
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    for task in [hello.delay({}) for _ in range(THROUGHPUT_JOBS)]:
        task.get(timeout=300)
    rate = THROUGHPUT_JOBS / (time.perf_counter() - start)
    print(json.dumps({"ms_p50": statistics.median(times) * 1000, "jobs_per_s": rate}))


if __name__ == "__main__":
    main()
