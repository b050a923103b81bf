"""The executor's metrics: names, units and meanings."""

from prometheus_client import Counter, Gauge, Histogram

RUNNING = Gauge("qrt_executor_running", "Attempts accepted and not yet reported.")
ATTEMPTS = Counter("qrt_executor_attempts", "Attempts reported, by how they ended.", ["end"])

BUILDS = Counter("qrt_executor_builds", "Environments built, by how it ended: made, failed.", ["end"])
BUILD_SECONDS = Histogram(
    "qrt_executor_build_seconds",
    "How long builds of environments took, failed ones included.",
    buckets=(1, 2, 5, 10, 20, 60, 120, 300, 600, 1500),
)
ENVIRONMENT_LOOKUPS = Counter(
    "qrt_executor_environment_lookups", "Environments asked for, by whether they stood: hit, miss.", ["found"]
)
ENVIRONMENT_BYTES = Gauge(
    "qrt_executor_environment_bytes", "What all environments take on the disk, the cache included."
)
WARM_ENVIRONMENTS = Gauge("qrt_executor_warm_environments", "Environments in which a job starts at once.")
