"""What the registry counts and measures; names, units and meanings."""

from prometheus_client import Counter, Gauge, Histogram

OPEN = Gauge("qrt_registry_open_builds", "Versions whose build has not ended, as this replica last saw them.")
ORDERED = Counter("qrt_registry_builds_ordered", "Orders of builds that an executor's queue took.")
ENDED = Counter("qrt_registry_builds_ended", "Builds whose end was kept: ready, failed.", ["state"])
SECONDS = Histogram(
    "qrt_registry_build_seconds",
    "From a build's beginning to its end, as its executor says.",
    buckets=(0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1500),
)
