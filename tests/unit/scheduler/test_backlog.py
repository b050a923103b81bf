"""Fair order of waiting jobs."""

from hypothesis import given
from hypothesis import strategies as st

from qrt_scheduler.domain.backlog import Backlog, Waiting


def filled(*jobs: tuple[str, str, int]) -> Backlog:
    backlog = Backlog()
    for job_id, owner, priority in jobs:
        backlog.add(Waiting(job_id, owner, "p", priority))
    return backlog


def drain(backlog: Backlog) -> list[str]:
    """Start everything, one after the other, ending nothing."""
    order = []
    while job := backlog.pick():
        backlog.started(job.owner, job.program_id)
        order.append(job.job_id)
    return order


def test_one_owners_jobs_start_in_order_of_age() -> None:
    assert drain(filled(("2", "a", 0), ("1", "a", 0), ("3", "a", 0))) == ["1", "2", "3"]


def test_a_higher_priority_goes_first_whoever_owns_it() -> None:
    assert drain(filled(("1", "a", 0), ("2", "a", 5), ("3", "b", 9))) == ["3", "2", "1"]


def test_the_owner_with_the_least_running_work_goes_first() -> None:
    backlog = filled(*((f"{n:03}", "many", 0) for n in range(100)), ("900", "one", 0))
    assert drain(backlog)[:3] == ["000", "900", "001"]


def test_an_ended_job_gives_its_owner_the_turn_back() -> None:
    backlog = filled(("1", "a", 0), ("2", "b", 0))
    backlog.started("a", "p")
    backlog.started("b", "p")
    backlog.started("b", "p")
    backlog.stopped("a", "p")
    assert drain(backlog) == ["1", "2"]


def test_a_removed_job_is_never_picked_and_an_added_twice_one_only_once() -> None:
    backlog = filled(("1", "a", 0), ("1", "a", 0), ("2", "a", 0))
    backlog.remove("2")
    assert len(backlog) == 1
    assert drain(backlog) == ["1"]


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from("abc"), st.integers(-2, 2))))
def test_whatever_waits_is_picked_exactly_once(jobs: list[tuple[int, str, int]]) -> None:
    distinct = {f"{number:03}": (f"{number:03}", owner, priority) for number, owner, priority in jobs}
    assert sorted(drain(filled(*distinct.values()))) == sorted(distinct)


def test_an_owner_at_its_limit_is_passed_over_until_a_job_of_it_ends() -> None:
    backlog = Backlog(owner_limit=1)
    for job_id, owner in (("1", "a"), ("2", "a"), ("3", "b")):
        backlog.add(Waiting(job_id, owner, "p", 0))
    assert drain(backlog) == ["1", "3"]
    backlog.stopped("a", "p")
    assert drain(backlog) == ["2"]


def test_a_program_at_its_limit_is_passed_over_for_the_owners_other_programs() -> None:
    backlog = Backlog()
    for number in range(3):
        backlog.add(Waiting(f"{number}", "a", "narrow", 9, max_running=1))
    backlog.add(Waiting("7", "a", "wide", 0))
    assert drain(backlog) == ["0", "7"]
    backlog.stopped("a", "narrow")
    assert drain(backlog) == ["1"]


def test_on_one_slot_a_crowd_delays_another_owners_only_job_by_one_job() -> None:
    backlog = filled(*((f"{n:03}", "many", 0) for n in range(100)))
    first = backlog.pick()
    assert first is not None
    backlog.started(first.owner, first.program_id)
    backlog.add(Waiting("900", "one", "p", 0))
    backlog.stopped(first.owner, first.program_id)
    following = backlog.pick()
    assert following is not None
    assert following.job_id == "900"


def test_nothing_is_kept_of_owners_without_work() -> None:
    backlog = filled(*((f"{n:03}", f"owner {n}", 0) for n in range(10)))
    drain(backlog)
    for number in range(10):
        backlog.stopped(f"owner {number}", "p")
    backlog.add(Waiting("1", "a", "p", 0))
    backlog.remove("1")
    assert not backlog._last_turn
