"""What to have more of: loads by arithmetic, where they reach the limit, and a plan that stays below it."""

from dataclasses import replace

from benchmarks.simulation.model import COPIES, DAY, MEASURED_GATEWAYS, NEWS_PER_JOB, Scenario
from benchmarks.simulation.parameters import Parameters

TARGET = 0.7
"""Beyond this share of its capacity a queue's waits grow quickly."""
MOST = 200
"""Steps of a plan; no sensible installation needs as many."""


def expected(given: Parameters, scenario: Scenario) -> dict[str, float]:
    """Return the mean load of each kind of part, as a share of what it can do; without any randomness."""
    jobs, beats = scenario.rate, scenario.fleet / scenario.beat_seconds
    outputs = jobs * given.outputs_per_job
    copy = given.rabbit_beat_ms / COPIES
    more = scenario.gateways - MEASURED_GATEWAYS
    requests = jobs * given.gateway_job_ms + outputs * given.listeners_per_job * given.gateway_output_ms
    dispatched = alone(given, scenario)
    shared = jobs * given.scheduler_job_ms + outputs * given.scheduler_output_ms
    rabbit = (
        jobs * (given.rabbit_job_ms + more * NEWS_PER_JOB * copy)
        + outputs * given.rabbit_output_ms
        + beats * (given.rabbit_beat_ms + more * copy)
    )
    mongo = jobs * given.mongo_job_ms + outputs * given.mongo_output_ms
    executor = (
        jobs * given.executor_job_ms + outputs * given.executor_output_ms + beats * given.executor_beat_ms
    )
    slots = scenario.fleet * given.slots
    milliseconds = {
        "gateway": requests / scenario.gateways + everywhere(given, scenario),
        "registry": jobs * given.registry_job_ms / scenario.registries,
        "dispatcher": dispatched,
        "schedulers": (shared + dispatched) / scenario.schedulers,
        "RabbitMQ": rabbit / (given.rabbit_cores * scenario.rabbit_nodes),
        "dispatch queue": (2 * jobs + beats) * given.queue_message_ms,
        "MongoDB": mongo / (given.mongo_cores * scenario.mongo_shards),
        "executor": executor / scenario.fleet,
        "sandboxes": jobs * given.sandbox_job_ms / slots,
    }
    return {name: each / 1000 for name, each in milliseconds.items()} | {
        "slots": jobs * given.run_seconds / slots
    }


def everywhere(given: Parameters, scenario: Scenario) -> float:
    """Return milliseconds a second that each gateway spends however many there are."""
    beats = scenario.fleet / scenario.beat_seconds
    return scenario.rate * given.gateway_news_ms + beats * given.gateway_beat_ms


def alone(given: Parameters, scenario: Scenario) -> float:
    """Return milliseconds a second that the dispatcher spends on what no other replica can take from it."""
    beats = scenario.fleet / scenario.beat_seconds
    return scenario.rate * given.dispatcher_job_ms + beats * given.dispatcher_beat_ms


def limit(given: Parameters, scenario: Scenario) -> tuple[str, float]:
    """Return the part that is full first as jobs become more, slots aside, and at how many jobs a day.

    A part that is full of heartbeats alone is at 0 jobs.
    """
    at_rest = expected(given, replace(scenario, jobs_per_day=0.0))
    loaded = expected(given, replace(scenario, jobs_per_day=DAY))
    reach = {
        name: max(0.0, (1 - at_rest[name]) / (loaded[name] - at_rest[name])) * DAY
        for name in at_rest
        if name != "slots"
    }
    first = min(reach, key=lambda name: reach[name])
    return first, reach[first]


def plan(given: Parameters, scenario: Scenario) -> Scenario:
    """Return the scenario with as many replicas, nodes, shards, pools and executors as keep every load low.

    What every replica spends on all jobs and heartbeats is divided by pools alone.
    """
    for _ in range(MOST):
        loads = expected(given, scenario)
        worst = max(loads, key=lambda name: loads[name])
        if loads[worst] <= TARGET:
            return scenario
        scenario = _more(given, scenario, worst)
    raise ValueError("no plan was found")


def _more(given: Parameters, now: Scenario, part: str) -> Scenario:
    half = TARGET * 1000 / 2
    if (part == "gateway" and everywhere(given, now) > half) or part in ("dispatcher", "dispatch queue"):
        return replace(now, pools=now.pools + 1)
    if part in ("slots", "sandboxes", "executor"):
        return replace(now, executors=round(now.executors * 1.1) + 1)
    grown = {
        "gateway": "gateways",
        "registry": "registries",
        "schedulers": "schedulers",
        "RabbitMQ": "rabbit_nodes",
        "MongoDB": "mongo_shards",
    }[part]
    return replace(now, **{grown: getattr(now, grown) + 1})
