"""Say where the runtime is full first, by simulating it: `make simulate`. The last line is one JSON object.

    python -m benchmarks.simulation [--seed N] [--seconds S]

Four tables: executors by jobs a day, steady and in a peak hour; what to have more of for the largest ones,
with the replicas of each pool; what else helps; and one machine, simulated beside what was measured on it.
"""

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

from benchmarks.simulation.model import Outcome, Scenario, simulate
from benchmarks.simulation.parameters import Parameters, measured
from benchmarks.simulation.sharding import expected, limit, plan

EXECUTORS = (10, 100, 1000)
JOBS_PER_DAY = (1e4, 1e5, 1e6, 1e7)
PEAK = 6.0
"""A peak hour with a quarter of the day's jobs."""
SHOWN = ("gateway", "dispatcher", "schedulers", "RabbitMQ", "MongoDB", "slots")
LARGE = ((1000, 1e6, 1.0), (1000, 1e6, PEAK), (1000, 1e7, 1.0), (1000, 1e7, PEAK))


def sweep(given: Parameters, *, seconds: float, seed: int) -> list[dict[str, Any]]:
    """Simulate executors by jobs a day, with two of each service."""
    rows = []
    for peak in (1.0, PEAK):
        for executors in EXECUTORS:
            for jobs in JOBS_PER_DAY:
                scenario = Scenario(
                    executors=executors, jobs_per_day=jobs, peak=peak, seconds=seconds, seed=seed
                )
                rows.append(row(given, simulate(given, _long_enough(scenario))))
    return rows


def _long_enough(scenario: Scenario) -> Scenario:
    return replace(scenario, seconds=max(scenario.seconds, min(120.0, 300 / scenario.rate)))


def row(given: Parameters, outcome: Outcome) -> dict[str, Any]:
    """Return what is told of one simulation."""
    scenario = outcome.scenario
    control = {name: load for name, load in outcome.loads.items() if name != "slots"}
    return {
        "executors": scenario.executors,
        "jobs_per_day": scenario.jobs_per_day,
        "peak": scenario.peak,
        "start_p50_ms": _rounded(outcome.start_ms(0.5)),
        "start_p95_ms": _rounded(outcome.start_ms(0.95)),
        "loads": {name: round(load, 3) for name, load in outcome.loads.items()},
        "fullest": max(control, key=lambda name: control[name]),
        "executors_needed": plan_executors(given, scenario),
        "bottleneck": outcome.bottleneck if outcome.loads[outcome.bottleneck] > 1 else None,
        "leases_hold": outcome.leases_hold,
    }


def plan_executors(given: Parameters, scenario: Scenario) -> int:
    """Return how many executors have slots for the jobs, at seven tenths of them busy."""
    busy = expected(given, replace(scenario, executors=1, pools=1))["slots"]
    return max(1, -int(-busy * scenario.pools // 0.7))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def large(given: Parameters, *, seconds: float, seed: int) -> list[dict[str, Any]]:
    """Return, for each large installation, what is full first and a plan, simulated."""
    found = []
    for executors, jobs, peak in LARGE:
        start = Scenario(executors=executors, jobs_per_day=jobs, peak=peak, seconds=seconds, seed=seed)
        part, most = limit(given, start)
        planned = plan(given, start)
        outcome = simulate(given, planned)
        found.append(
            {
                "executors": executors,
                "jobs_per_day": jobs,
                "peak": peak,
                "first_full": part,
                "full_at_jobs_per_day": round(most),
                "plan": {
                    name: getattr(planned, name)
                    for name in (
                        *("pools", "executors", "gateways", "registries", "schedulers"),
                        *("rabbit_nodes", "mongo_shards"),
                    )
                },
                "loads": {name: round(load, 3) for name, load in outcome.loads.items()},
                "start_p95_ms": _rounded(outcome.start_ms(0.95)),
            }
        )
    return found


def remedies(given: Parameters, *, seconds: float, seed: int) -> list[dict[str, Any]]:
    """Simulate, for a million jobs a day with a peak hour, each thing that an operator may change."""
    now = Scenario(executors=1000, jobs_per_day=1e6, peak=PEAK, seconds=seconds, seed=seed)
    few, large = replace(now, executors=250), replace(given, slots=16)
    tried = {
        "two of each": (given, now),
        "6 schedulers": (given, replace(now, schedulers=6)),
        "a heartbeat each 4 s": (given, replace(now, beat_seconds=4.0)),
        "250 executors of 16 slots": (large, few),
        "these three": (large, replace(few, schedulers=6, beat_seconds=4.0)),
        "these three, two pools": (large, replace(few, schedulers=6, beat_seconds=4.0, pools=2)),
    }
    found = []
    for name, (costs, scenario) in tried.items():
        outcome = simulate(costs, scenario)
        loads = {part: round(load, 3) for part, load in outcome.loads.items()}
        found.append(
            {
                "change": name,
                "dispatcher": loads["dispatcher"],
                "schedulers": loads["schedulers"],
                "fullest": outcome.bottleneck,
                "start_p95_ms": _rounded(outcome.start_ms(0.95)),
                "loads": loads,
            }
        )
    return found


def heartbeats(given: Parameters) -> dict[str, int]:
    """Return how many executors one pool hears at most when nothing else happens, by what is full of them."""
    loads = expected(given, Scenario(executors=1000, jobs_per_day=1e-9))
    return {name: round(1000 / loads[name]) for name in ("dispatcher", "gateway", "RabbitMQ")}


def validation(given: Parameters, *, seed: int) -> list[dict[str, Any]]:
    """Simulate what was measured on one machine; return both and the difference."""
    known = measured()
    here = replace(
        given,
        run_seconds=0.0,
        outputs_per_job=0.0,
        hop_ms=known["hop_ms"],
        store_ms=known["store_ms"],
        slots=known["slots"],
    )
    found = []
    for name, replicas in (("two of each", 2), ("one of each", 1)):
        facts = known[name]
        free = facts.get("cores_free", known["cores"])
        whole = Scenario(
            executors=1,
            jobs_per_day=1.0,
            gateways=replicas,
            schedulers=replicas,
            registries=1,
            at_once=known["jobs"],
            cores=known["cores"],
            speed=free / known["cores"],
            seed=seed,
        )
        outcome = simulate(here, whole)
        singles = [simulate(here, replace(whole, at_once=1, seed=seed + n)).answers[0] for n in range(100)]
        found.append(
            {
                "composition": name,
                "cores_free": free,
                "jobs_per_s": _beside(known["jobs"] / outcome.seconds, facts["jobs_per_s"]),
                "latency_p50_ms": _beside(sorted(singles)[50] * 1000, facts["latency_p50_ms"]),
            }
        )
    return found


def _beside(simulated: float, real: float) -> dict[str, float]:
    return {
        "simulated": round(simulated, 2),
        "measured": real,
        "error": round(simulated / real - 1, 3),
    }


Rows = list[dict[str, Any]]


def report(rows: Rows, plans: Rows, changes: Rows, checks: Rows) -> None:
    """Print the tables."""
    print("Two of each service, one RabbitMQ node, one MongoDB primary. Loads in percent of what a part can")
    print("do; above 100 it is asked for more. `dispatcher` is what one scheduler alone can do, on its one")
    print("core; `schedulers` is what all of them do together.\n")
    print(
        f"{'executors':>9}{'jobs/day':>10}{'peak':>6}{'start p50':>11}{'p95 ms':>10}"
        + "".join(f"{name:>12}" for name in SHOWN)
        + "  full"
    )
    for each in rows:
        loads = "".join(f"{each['loads'].get(name, 0) * 100:>12.1f}" for name in SHOWN)
        times = "".join(
            f"{'-' if each[name] is None else each[name]:>{width}}"
            for name, width in (("start_p50_ms", 11), ("start_p95_ms", 10))
        )
        full = each["bottleneck"] or "-"
        full += "" if each["leases_hold"] else " (leases are lost)"
        full += f" (needs {each['executors_needed']} executors)" if each["bottleneck"] == "slots" else ""
        print(f"{each['executors']:>9}{each['jobs_per_day']:>10.0e}{each['peak']:>6g}{times}{loads}  {full}")
    print("\nFirst full with two of each, and what keeps every part below 70 %, simulated:\n")
    for each in plans:
        print(
            f"{each['executors']} executors, {each['jobs_per_day']:.0e} jobs/day, peak {each['peak']:g}: "
            f"first the {each['first_full']}, at {each['full_at_jobs_per_day']:.2e} jobs/day"
        )
        parts = ", ".join(f"{name} {count}" for name, count in each["plan"].items())
        print(f"    {parts}; start p95 {each['start_p95_ms']} ms; busiest {max(each['loads'].values()):.2f}")
    print(f"\n1000 executors, 1e+06 jobs/day, peak {PEAK:g}: what helps\n")
    for each in changes:
        start = "-" if each["start_p95_ms"] is None else f"{each['start_p95_ms']} ms"
        loads = (
            f"dispatcher {each['dispatcher'] * 100:>5.1f} %  schedulers {each['schedulers'] * 100:>5.1f} %"
        )
        print(f"{each['change']:<28}{loads}  start p95 {start}")
    print("\nThis machine, simulated and measured:\n")
    for each in checks:
        for name in ("jobs_per_s", "latency_p50_ms"):
            figures = each[name]
            free = f"{each['cores_free']} of {measured()['cores']} cores free"
            print(
                f"{each['composition']}, {free}, {name}: simulated {figures['simulated']}, "
                f"measured {figures['measured']}, error {figures['error']:+.1%}"
            )


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description="Where the runtime is full first, by simulation")
    parser.add_argument("--seed", type=int, default=1, help="repeats a run exactly")
    parser.add_argument("--seconds", type=float, default=8.0, help="simulated seconds of each scenario")
    chosen = parser.parse_args()
    given = Parameters.read()
    rows = sweep(given, seconds=chosen.seconds, seed=chosen.seed)
    plans = large(given, seconds=chosen.seconds, seed=chosen.seed)
    changes = remedies(given, seconds=chosen.seconds, seed=chosen.seed)
    checks = validation(given, seed=chosen.seed)
    report(rows, plans, changes, checks)
    whole = {
        "seed": chosen.seed,
        "sweep": rows,
        "large": plans,
        "remedies": changes,
        "executors_by_heartbeats_alone": heartbeats(given),
        "validation": checks,
    }
    json.dump(whole, sys.stdout)
    print()


if __name__ == "__main__":
    main()
