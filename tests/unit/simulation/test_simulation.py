"""The simulator obeys what is known of queues, loses no job, and repeats itself by seed."""

import random
from collections.abc import Generator
from dataclasses import replace

import pytest
import simpy
from benchmarks.simulation.model import Runtime, Scenario, simulate
from benchmarks.simulation.parameters import Parameters
from benchmarks.simulation.sharding import TARGET, expected, limit, plan
from benchmarks.simulation.stations import Station

GIVEN = replace(Parameters.read(), run_seconds=2.0, outputs_per_job=5.0)
"""Costs as they were measured; shorter runs, so that more of them end in a short simulation."""


def queue(*, rate: float, service: float, servers: int = 1, visits: int = 20_000) -> tuple[Station, float]:
    """Let visitors come at a rate; return the station and the mean number of them in it over time."""
    env, dice = simpy.Environment(), random.Random(7)
    station = Station(env, "s", servers, random.Random(8))
    inside, area, changed = 0, 0.0, 0.0

    def count(change: int) -> None:
        nonlocal inside, area, changed
        area += inside * (env.now - changed)
        inside, changed = inside + change, env.now

    def visit() -> Generator[simpy.Event, None, None]:
        count(1)
        yield env.timeout(station.take(service))
        count(-1)

    def arrivals() -> Generator[simpy.Event, None, None]:
        for _ in range(visits):
            yield env.timeout(dice.expovariate(rate))
            env.process(visit())

    env.process(arrivals())
    env.run()
    return station, area / env.now


def test_littles_law_holds() -> None:
    station, inside = queue(rate=8.0, service=0.1)
    seconds = station.mean_wait() + station.work / station.visits
    rate = station.visits / station.env.now
    assert inside == pytest.approx(rate * seconds, rel=1e-6)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_a_single_server_waits_as_theory_says(load: float) -> None:
    station, _ = queue(rate=load, service=1.0)
    assert station.load() == pytest.approx(load, rel=0.05)
    assert station.mean_wait() == pytest.approx(load / (1 - load), rel=0.12)  # M/M/1


def test_two_servers_wait_as_theory_says() -> None:
    station, _ = queue(rate=1.2, service=1.0, servers=2)
    # M/M/2: the chance to wait by Erlang's formula C(2, 1.2), over 2 * mu - lambda.
    assert station.mean_wait() == pytest.approx(0.45 / 0.8, rel=0.12)


def test_a_saturated_server_falls_behind_by_what_it_is_asked_too_much() -> None:
    env = simpy.Environment()
    station = Station(env, "s", 1, random.Random(1))
    last = 0.0
    for _ in range(1500):
        last = station.take_exactly(1.0)  # all at once, and 1,000 s for 1,500 s of work
    env.run(until=1000)
    assert last == 1500
    assert station.load() == pytest.approx(1.5)


def test_no_job_is_lost_or_made() -> None:
    runtime = Runtime(GIVEN, Scenario(executors=3, jobs_per_day=1.0, at_once=200, seed=4))
    outcome = runtime.run()
    assert (outcome.submitted, outcome.started, outcome.ended) == (200, 200, 200)
    assert runtime.slots.level == runtime.slots.capacity
    assert len(outcome.answers) == 200
    assert outcome.seconds >= 200 * GIVEN.run_seconds / runtime.slots.capacity * 0.7


def test_the_same_seed_gives_the_same_outcome_and_another_one_another() -> None:
    scenario = Scenario(executors=20, jobs_per_day=2e5, seconds=10, seed=5)
    first, second, other = (simulate(GIVEN, replace(scenario, seed=seed)) for seed in (5, 5, 6))
    assert (first.starts, first.loads) == (second.starts, second.loads)
    assert first.starts != other.starts


@pytest.mark.parametrize(("executors", "jobs"), [(50, 5e5), (400, 5e5)])
def test_simulated_loads_are_those_of_the_arithmetic(executors: int, jobs: float) -> None:
    scenario = Scenario(executors=executors, jobs_per_day=jobs, seconds=60, warm_up=10)
    sums, seen = expected(GIVEN, scenario), simulate(GIVEN, scenario).loads
    assert set(sums) == set(seen)
    for name in ("dispatcher", "schedulers", "gateway", "RabbitMQ", "MongoDB"):
        assert seen[name] == pytest.approx(sums[name], rel=0.2), name


def test_heartbeats_alone_fill_the_dispatcher_however_few_the_jobs() -> None:
    costly = replace(GIVEN, dispatcher_beat_ms=20.0)
    most = 2000 / costly.dispatcher_beat_ms  # at one each 2 s
    outcome = simulate(costly, Scenario(executors=round(most * 1.5), jobs_per_day=1000, seconds=30))
    assert outcome.loads["dispatcher"] > 1
    assert not outcome.leases_hold
    assert simulate(costly, Scenario(executors=round(most * 0.5), jobs_per_day=1000, seconds=30)).leases_hold


def test_a_plan_keeps_every_part_below_its_target_also_when_simulated() -> None:
    scenario = Scenario(executors=1000, jobs_per_day=1e6, peak=6, seconds=6, warm_up=3)
    planned = plan(GIVEN, scenario)
    assert max(expected(GIVEN, planned).values()) <= TARGET
    assert simulate(GIVEN, planned).loads["dispatcher"] < TARGET + 0.15


def test_the_limit_is_where_the_first_part_is_full() -> None:
    scenario = Scenario(executors=500, jobs_per_day=1e5)
    part, jobs = limit(GIVEN, scenario)
    assert expected(GIVEN, replace(scenario, jobs_per_day=jobs))[part] == pytest.approx(1.0)
    others = expected(GIVEN, replace(scenario, jobs_per_day=jobs * 0.99)).items()
    assert all(load < 1 for name, load in others if name != "slots")


def test_a_busy_dispatcher_leaves_commands_and_outputs_to_others() -> None:
    busy = replace(GIVEN, dispatcher_job_ms=80.0)
    rate = 0.9 / busy.dispatcher_job_ms * 1000  # nine tenths of what one core dispatches
    scenario = Scenario(executors=40, jobs_per_day=rate * 86_400, schedulers=3, seconds=60)
    runtime = Runtime(busy, scenario)
    outcome = runtime.run()
    assert outcome.loads["dispatcher"] == pytest.approx(0.9, rel=0.1)
    assert outcome.leases_hold
    shared = [each.visits for each in runtime.schedulers[1:]]
    asked = sum(shared) - rate * 60  # commands aside, the rest are outputs
    assert asked > 0.7 * rate * 60 * busy.outputs_per_job
