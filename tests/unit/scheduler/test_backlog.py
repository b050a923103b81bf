"""Fair order of waiting jobs."""

from dataclasses import dataclass, field
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from qrt_scheduler.domain.backlog import Backlog, Fit, Waiting


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


@dataclass
class Plain:
    """The order as it is said: of all first jobs of lanes, the least rank of those that fit."""

    limit: int | None
    waiting: dict[str, Waiting] = field(default_factory=dict)
    running: list[Waiting] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)

    def owners(self, owner: str) -> int:
        return sum(each.owner == owner for each in self.running)

    def last_turn(self, owner: str) -> int:
        return max((turn for turn, name in enumerate(self.turns, 1) if name == owner), default=0)

    def may_start(self, job: Waiting) -> bool:
        programs = sum(each.program_id == job.program_id for each in self.running)
        of_owner = self.limit is None or self.owners(job.owner) < self.limit
        return of_owner and (job.max_running is None or programs < job.max_running)

    def pick(self, blocked: str) -> Waiting | None:
        firsts = {
            (job.owner, job.program_id, job.needs): job
            for job in sorted(self.waiting.values(), key=_last_first)
        }
        able = [job for job in firsts.values() if self.may_start(job) and job.program_id != blocked]
        return min(able, key=self.rank, default=None)

    def rank(self, job: Waiting) -> tuple[int, int, int, str]:
        return -job.priority, self.owners(job.owner), self.last_turn(job.owner), job.job_id


def _fit(blocked: str, job: Waiting) -> Fit:
    return Fit.LATER if job.program_id == blocked else Fit.NOW


def _last_first(job: Waiting) -> tuple[int, int]:
    return job.priority, -int(job.job_id)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 3), st.integers(0, 2), st.integers(0, 1)),
        st.tuples(st.just("remove"), st.integers(0, 30)),
        st.tuples(st.just("pick"), st.sampled_from(["", "p0", "p1"])),
        st.tuples(st.just("end"), st.integers(0, 10)),
    ),
    max_size=60,
)


@given(steps=steps, limit=st.sampled_from([None, 1, 3]), most=st.sampled_from([None, 2]))
def test_whatever_comes_and_goes_the_choice_is_the_one_that_looking_at_everything_makes(
    steps: list[tuple[object, ...]], limit: int | None, most: int | None
) -> None:
    backlog, plain, made = Backlog(owner_limit=limit), Plain(limit), 0
    for step in steps:
        match step:
            case ("add", int(owner), int(program), int(priority)):
                made += 1
                job = Waiting(f"{made:03}", f"o{owner}", f"p{program}", priority, most)
                backlog.add(job)
                plain.waiting[job.job_id] = job
            case ("remove", int(number)):
                removed = backlog.remove(f"{number:03}")
                assert removed == plain.waiting.pop(f"{number:03}", None)
                _forget_idle(plain)
            case ("pick", str(blocked)):
                chosen = backlog.pick(partial(_fit, blocked))
                assert chosen == plain.pick(blocked)
                if chosen:
                    del plain.waiting[chosen.job_id]
                    plain.turns.append(chosen.owner)
                    plain.running.append(chosen)
                    backlog.started(chosen.owner, chosen.program_id)
            case ("end", int(number)) if number < len(plain.running):
                ended = plain.running.pop(number)
                backlog.stopped(ended.owner, ended.program_id)
                _forget_idle(plain)
    assert len(backlog) == len(plain.waiting)


def _forget_idle(plain: Plain) -> None:
    known = {each.owner for each in (*plain.running, *plain.waiting.values())}
    plain.turns = [name if name in known else "" for name in plain.turns]


def test_a_choice_looks_at_one_job_however_many_wait() -> None:
    backlog = filled(*((f"{n:05}", f"o{n % 1000}", 0) for n in range(5000)))
    looked: list[str] = []

    def fit(job: Waiting) -> Fit:
        looked.append(job.job_id)
        return Fit.NOW

    for _ in range(10):
        assert backlog.pick(fit) is not None
    assert len(looked) == 10
