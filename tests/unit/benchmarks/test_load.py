"""The load generator's arithmetic: when what comes, and what is said of it."""

import argparse
import math
from itertools import pairwise

import pytest
from benchmarks.load.__main__ import mix_of
from benchmarks.load.arrivals import arrivals
from benchmarks.load.report import Sample, summary

MIX = {"hello": 3.0, "sleep": 1.0}


def test_arrivals_come_at_the_asked_rate_in_the_asked_mix() -> None:
    found = list(arrivals(rate=50, seconds=200, mix=MIX, owners=4, seed=1))

    assert len(found) == pytest.approx(10_000, rel=0.05)
    assert sum(each.kind == "hello" for each in found) / len(found) == pytest.approx(0.75, abs=0.03)
    assert {each.owner for each in found} == {0, 1, 2, 3}
    times = [each.at for each in found]
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < 200
    # What tells a Poisson process from an even beat: the gaps' deviation is as large as their mean.
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert deviation / mean == pytest.approx(1, abs=0.1)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    def plan(seed: int) -> list[object]:
        return list(arrivals(rate=10, seconds=10, mix=MIX, owners=2, seed=seed))

    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


def test_a_stall_is_charged_with_all_that_should_have_been_sent_meanwhile() -> None:
    # One job a second; the server answers at once but for a stall from 10 s to 20 s, during which
    # the generator, too, may be late with sending: that changes nothing.
    samples = []
    for scheduled in range(30):
        ended = 20.0 if 10 <= scheduled < 20 else float(scheduled)
        samples.append(Sample("hello", scheduled, ended, ended, ended, "succeeded"))

    found = summary(samples, until=31.0, seconds=30.0)

    assert found["latency"]["result"] == {
        "p50_ms": 0.0,
        "p90_ms": 7000.0,
        "p95_ms": 9000.0,
        "p99_ms": 10_000.0,
        "max_ms": 10_000.0,
    }


def test_what_never_ends_counts_with_the_time_it_was_waited_for() -> None:
    done = [Sample("hello", 0.0, 0.0, 0.1, 0.2, "succeeded") for _ in range(9)]
    found = summary([*done, Sample("hello", 1.0, 1.0, 1.1)], until=61.0, seconds=10.0)

    assert found["unfinished"] == 1
    assert found["latency"]["accept"]["max_ms"] == 100.0
    assert found["latency"]["result"]["p90_ms"] == 200.0
    assert found["latency"]["result"]["max_ms"] == 60_000.0


def test_what_was_refused_or_not_sent_is_counted_and_has_no_latency() -> None:
    samples = [
        Sample("logs", 0.0, 0.0, outcome="rejected", reason="429 TooManyRequests"),
        Sample("logs", 0.0, 0.0, outcome="rejected", reason="429 TooManyRequests"),
        Sample("logs", 0.0, 0.0, outcome="error", reason="ClientOSError"),
        Sample("logs", 0.0, outcome="not_sent"),
    ]

    found = summary(samples, until=9.0, seconds=2.0)

    assert (found["rejected"], found["error"], found["not_sent"], found["succeeded"]) == (2, 1, 1, 0)
    assert found["reasons"] == {"429 TooManyRequests": 2, "ClientOSError": 1}
    assert found["latency"]["result"]["p50_ms"] is None
    assert found["offered_per_s"] == 2.0


@pytest.mark.parametrize("text", ["hello", "hello=0", "hello=-1", "hello=nan", "typo=1", "hello=1,=2", ""])
def test_a_mix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        mix_of(text)
