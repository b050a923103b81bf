"""Every metric of the chassis: names, units, labels and meanings.

Labels are schema names, service names and loop names: bounded sets, never ids.
"""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

PUBLISHED = Counter("qrt_bus_published", "Messages the broker has taken.", ["schema"])
PUBLISH_SECONDS = Histogram(
    "qrt_bus_publish_seconds", "From publish to the broker's confirmation.", ["schema"], buckets=_SECONDS
)
PUBLISH_RETRIES = Counter(
    "qrt_bus_publish_retries", "Publishes repeated because the broker did not confirm.", ["schema"]
)
REQUEST_SECONDS = Histogram(
    "qrt_bus_request_seconds", "From command to reply, at the caller.", ["schema"], buckets=_SECONDS
)
REQUESTS_FAILED = Counter(
    "qrt_bus_requests_failed",
    "Commands answered by a fault or not at all, by fault code.",
    ["schema", "code"],
)
DELIVERIES = Counter(
    "qrt_bus_deliveries",
    "Deliveries by how they ended: handled, dead, abandoned (returned to the queue), expired.",
    ["schema", "outcome"],
)
REDELIVERIES = Counter(
    "qrt_bus_redeliveries", "Deliveries of messages that had come back unacknowledged before.", ["schema"]
)
HANDLER_SECONDS = Histogram(
    "qrt_bus_handler_seconds", "Time in a handler, each call.", ["schema"], buckets=_SECONDS
)
HANDLER_ERRORS = Counter(
    "qrt_bus_handler_errors", "What handlers raised: passing, failing, fault, internal.", ["schema", "kind"]
)
DEAD_LETTERS = Counter(
    "qrt_bus_dead_letters", "Messages moved to a dead letter queue by this process.", ["schema", "reason"]
)
CONNECTED = Gauge("qrt_bus_live_connections", "1 while connected to the broker.", ["connection"])
CONNECTIONS = Counter("qrt_bus_connections", "Connections to the broker that came up.", ["connection"])
SUBSCRIPTIONS_DOWN = Gauge(
    "qrt_bus_down_subscriptions", "Subscriptions that are not fed at present.", ["connection"]
)

LOOP_DEATHS = Counter(
    "qrt_loop_deaths", "Times a service's loop ended and was restarted.", ["service", "loop"]
)
TASKS_DIED = Counter("qrt_tasks_died", "Background tasks that ended by an error.", ["owner"])
READY = Gauge("qrt_ready_services", "1 while the service answers that it is ready.", ["service"])

ARTIFACT_BYTES = Counter(
    "qrt_artifact_bytes", "Bytes moved to or from the artifact store: written, read.", ["direction"]
)
ARTIFACTS_STORED = Counter(
    "qrt_artifacts_stored", "Puts by what became of them: new, duplicate, refused.", ["outcome"]
)
