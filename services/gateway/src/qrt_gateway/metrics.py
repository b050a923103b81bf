"""The gateway's own metrics: names, units and meanings. Labels are route patterns, never ids."""

from prometheus_client import Counter, Gauge, Histogram

REQUEST_SECONDS = Histogram(
    "qrt_gateway_request_seconds",
    "From a request's first byte to its answer's last; waits and streams included.",
    ["route", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)
LISTENERS = Gauge("qrt_gateway_listeners", "Streams and waiting requests that listen to a job.")
TOPICS = Gauge("qrt_gateway_topics", "Routing keys this gateway's queue is bound to.")
OVERFLOWS = Counter(
    "qrt_gateway_listener_overflows", "Times a slow listener lost its buffer and went back to history."
)
AUDIT_DROPPED = Counter(
    "qrt_gateway_audit_dropped",
    "Entries left out of the audit log: not to be written, or one token's endless refusals.",
)
HISTORY_READS = Counter("qrt_gateway_history_reads", "Pages of stored outputs read for streams.")
WEBHOOK_ATTEMPTS = Counter(
    "qrt_gateway_webhook_attempts",
    "Attempts to deliver to a webhook, by outcome: delivered, failed.",
    ["outcome"],
)
WEBHOOK_SECONDS = Histogram(
    "qrt_gateway_webhook_seconds",
    "How long attempts to deliver to a webhook took.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0),
)
WEBHOOKS_WAITING = Gauge(
    "qrt_gateway_ready_deliveries", "Deliveries that wait here to be sent, or are being sent."
)
