"""Where a queued job stands, told from a snapshot."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrt_contracts.values import Quota
from qrt_scheduler.domain.backlog import Backlog, Waiting
from qrt_scheduler.domain.place import STALE, Snapshot, place
from tests.unit.scheduler.factories import NOW, queued, run_spec


def snapshot(**changes: Any) -> Snapshot:
    return Snapshot(at=NOW, executors=1, slots=2, free=0, queued={"alice": 1}).model_copy(update=changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"executors": 0}, "no executor"),
        ({"running": {"alice": 3}, "owner_limit": 3}, "3 of your jobs are running; the limit is 3"),
        ({}, "all 2 slots are busy"),
        ({"slots": 0}, "no executor takes work at present"),
        ({"free": 1}, "about to start"),
        ({"at": NOW - STALE - timedelta(seconds=1)}, "no scheduler"),
    ],
)
def test_an_owner_is_told_why_a_job_waits(changes: dict[str, Any], told: str) -> None:
    assert told in place(queued(), ahead=0, snapshot=snapshot(**changes), now=NOW).reason


def test_a_programs_own_limit_is_a_reason_to_wait() -> None:
    job = queued(run=run_spec(quota=Quota(running=1)))
    busy = snapshot(programs={job.run.program_id: 1})
    assert "this program" in place(job, ahead=0, snapshot=busy, now=NOW).reason


def test_the_start_is_estimated_from_measured_run_times_and_slots() -> None:
    assert place(queued(), ahead=0, snapshot=snapshot(), now=NOW).estimated_start is None
    told = place(queued(), ahead=3, snapshot=snapshot(run_seconds=10), now=NOW)
    assert (told.position, told.estimated_start) == (4, NOW + timedelta(seconds=20))


@given(
    others=st.dictionaries(st.sampled_from("bcd"), st.integers(1, 6)),
    running=st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3)),
    ahead=st.integers(0, 5),
)
def test_the_position_is_the_one_the_backlog_serves_up_to_ties(
    others: dict[str, int], running: dict[str, int], ahead: int
) -> None:
    """Owners that run equally much take turns by age, which a snapshot does not know."""
    backlog = Backlog()
    for number in range(ahead + 1):
        backlog.add(Waiting(f"{900 + number}", "a", "p", 0))
    for index, (owner, count) in enumerate(others.items()):
        for number in range(count):
            backlog.add(Waiting(f"{100 * (index + 1) + number}", owner, "p", 0))
    for owner, count in running.items():
        for _ in range(count):
            backlog.started(owner, "p")
    order = []
    seen = snapshot(queued=dict(backlog.queued), running=dict(backlog.running))
    while job := backlog.pick():
        backlog.started(job.owner, job.program_id)
        order.append(job.job_id)
    actual = order.index(f"{900 + ahead}") + 1
    told = place(queued(owner="a"), ahead=ahead, snapshot=seen, now=NOW).position
    assert told <= actual <= told + len(others)
