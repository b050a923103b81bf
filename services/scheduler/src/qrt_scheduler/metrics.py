"""What the scheduler counts and measures; names, units and meanings."""

from prometheus_client import Counter, Gauge, Histogram

from qrt_scheduler.domain.backlog import Backlog
from qrt_scheduler.domain.fleet import Fleet

GHOSTS = Counter("qrt_scheduler_ghosts", "Reports and listings of attempts that are not current; dropped")
GHOST_OUTPUTS = Counter(
    "qrt_scheduler_ghost_outputs", "Outputs of attempts that were given up, or of deleted jobs; dropped"
)
UNREADABLE = Counter("qrt_scheduler_unreadable", "Times a stored record could not be read")
SUBMITTED = Counter("qrt_scheduler_jobs_submitted", "Jobs that were stored as queued")
STARTED = Counter("qrt_scheduler_attempts_started", "Attempts begun: stored as running, and ordered")
REPEATED = Counter(
    "qrt_scheduler_orders_repeated", "Orders sent again because the executor did not list the attempt"
)
OUTPUTS = Counter("qrt_scheduler_outputs_stored", "Outputs in batches that the history has stored")
LOST = Counter("qrt_scheduler_attempts_lost", "Attempts given up because nobody vouched for them")
ENDED = Counter("qrt_scheduler_jobs_ended", "Jobs that reached a terminal state", ["status"])
WAITED = Histogram(
    "qrt_scheduler_queue_wait_seconds",
    "From submission to the start of an attempt",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 120, 600, 3600),
)
QUEUED = Gauge("qrt_scheduler_queued_jobs", "Jobs waiting, as the dispatching replica sees them")
RUNNING = Gauge("qrt_scheduler_running_attempts", "Attempts under a lease of the dispatching replica")
EXECUTORS = Gauge("qrt_scheduler_executors", "Executors the dispatching replica hears")
LEASE_SILENCE = Gauge(
    "qrt_scheduler_lease_silence_seconds",
    "The longest that nobody has vouched for a leased attempt; at the lease's length it is lost",
)


def observe(backlog: Backlog, fleet: Fleet, *, now: float) -> None:
    """Publish the present sizes of the dispatcher's memory."""
    QUEUED.set(len(backlog))
    RUNNING.set(len(fleet.leases))
    EXECUTORS.set(len(fleet.executors))
    LEASE_SILENCE.set(fleet.longest_silence(now))


def observe_nothing() -> None:
    """Say that this replica does not dispatch: what it last saw is another one's to tell now."""
    for each in (QUEUED, RUNNING, EXECUTORS, LEASE_SILENCE):
        each.set(0)
