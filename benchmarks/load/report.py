"""What came of a load: percentiles, errors, one JSON object."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PERCENTILES = (50, 90, 95, 99)


@dataclass
class Sample:
    """One arrival. Times are seconds of one steady clock."""

    kind: str
    scheduled: float
    sent: float | None = None
    """None: it was not sent, as too many were under way."""
    accepted: float | None = None
    ended: float | None = None
    outcome: str = "unfinished"
    """`succeeded`, `failed`, `rejected`, `error`, `not_sent` or `unfinished`."""
    reason: str = ""
    """Of an error or a rejection."""


def latencies(samples: Iterable[Sample], *, until: float) -> dict[str, dict[str, float | None]]:
    """Return percentiles in milliseconds, counted from when each job should have been sent.

    `accept` is until its submission was answered, `result` until its result was known. What was sent and has
    not been answered at `until` counts with the time until then: a percentile may be more than it says, never
    less.
    """
    sent = [each for each in samples if each.outcome in ("succeeded", "failed", "unfinished")]
    return {
        "accept": _percentiles([_or(each.accepted, until) - each.scheduled for each in sent]),
        "result": _percentiles([_or(each.ended, until) - each.scheduled for each in sent]),
    }


def _or(moment: float | None, until: float) -> float:
    return until if moment is None else moment


def _percentiles(seconds: Sequence[float]) -> dict[str, float | None]:
    ordered = sorted(seconds)
    found = {f"p{share}_ms": milliseconds(ordered, share) for share in PERCENTILES}
    return found | {"max_ms": milliseconds(ordered, 100)}


def milliseconds(ordered: Sequence[float], share: int) -> float | None:
    """Return the smallest value that `share` percent of all do not exceed; None without any."""
    if not ordered:
        return None
    return round(ordered[math.ceil(len(ordered) * share / 100) - 1] * 1000, 1)


def summary(samples: Sequence[Sample], *, until: float, seconds: float) -> dict[str, Any]:
    """Return everything that is known of a run of `seconds`."""
    outcomes = Counter(each.outcome for each in samples)
    lag = sorted(each.sent - each.scheduled for each in samples if each.sent is not None)
    ended = [each.ended for each in samples if each.outcome == "succeeded" and each.ended is not None]
    start = min((each.scheduled for each in samples), default=0.0)
    return {
        "offered_per_s": round(len(samples) / seconds, 2),
        "succeeded_per_s": round(len(ended) / max(seconds, max(ended, default=start) - start), 2),
        "arrivals": len(samples),
        **{
            name: outcomes[name]
            for name in ("succeeded", "failed", "rejected", "error", "unfinished", "not_sent")
        },
        "reasons": dict(Counter(each.reason for each in samples if each.reason)),
        "generator_lag_p99_ms": milliseconds(lag, 99),
        "latency": latencies(samples, until=until),
        "kinds": {
            kind: {"arrivals": len(own), **latencies(own, until=until)}
            for kind in sorted({each.kind for each in samples})
            if (own := [each for each in samples if each.kind == kind])
        },
    }


def table(found: Mapping[str, Any]) -> str:
    """Return the same for people."""
    head = ("until", *(f"p{share} ms" for share in PERCENTILES), "max ms")
    rows = [("accepted, all", found["latency"]["accept"]), ("result, all", found["latency"]["result"])]
    rows += [(f"result, {kind}", each["result"]) for kind, each in found["kinds"].items()]
    lines = [f"{head[0]:<18}" + "".join(f"{name:>11}" for name in head[1:])]
    lines += [
        f"{name:<18}" + "".join(f"{_text(value):>11}" for value in each.values()) for name, each in rows
    ]
    counts = ", ".join(
        f"{found[name]} {name.replace('_', ' ')}"
        for name in ("succeeded", "failed", "rejected", "error", "unfinished", "not_sent")
    )
    rates = f"{found['offered_per_s']} jobs/s came, {found['succeeded_per_s']} succeeded: {counts}"
    return "\n".join((*lines, rates, *(f"  {count} x {why}" for why, count in found["reasons"].items())))


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"
