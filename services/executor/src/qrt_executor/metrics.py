"""The executor's metrics: names, units and meanings."""

from prometheus_client import Counter, Gauge

RUNNING = Gauge("qrt_executor_running", "Attempts accepted and not yet reported.")
ATTEMPTS = Counter("qrt_executor_attempts", "Attempts reported, by how they ended.", ["end"])
