"""The executor's metrics: names, units and meanings."""

from prometheus_client import Counter, Gauge, Histogram

RUNNING = Gauge("qrt_executor_running_attempts", "Attempts accepted and not yet reported.")
SLOTS = Gauge("qrt_executor_slots", "Attempts it takes at once; 0 while it refuses work or is drained.")
ATTEMPT_SECONDS = Histogram(
    "qrt_executor_attempt_seconds",
    "From an attempt's acceptance to the report of its end, by how it ended.",
    ["end"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120, 600, 3600, 21600),
)
OUTPUTS = Counter("qrt_executor_outputs", "Outputs of programs that were published, by kind.", ["kind"])
OUTPUT_BYTES = Counter("qrt_executor_output_bytes", "The size of the outputs that were published.")
DROPPED_BYTES = Counter(
    "qrt_executor_dropped_bytes", "What programs printed beyond the limit of their log; dropped."
)
PARKED = Gauge("qrt_executor_parked_jails", "Sandboxes that wait for an attempt.")
SANDBOXES = Counter(
    "qrt_executor_sandboxes", "Sandboxes taken by attempts: parked before, or made to measure.", ["origin"]
)
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
