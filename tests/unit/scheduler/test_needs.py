"""Jobs go to executors that can run them, and are refused where none ever can."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from qrt_contracts.values import ProgramKind, Resources, RunSpec
from qrt_scheduler.domain.backlog import PATIENCE, Backlog, Waiting
from qrt_scheduler.domain.fleet import Fleet, Lease
from qrt_scheduler.domain.needs import Ability, Needs, why_not
from qrt_scheduler.domain.place import Known, Snapshot, place
from qrt_scheduler.service.memory import SETTLE_SECONDS, Memory
from qrt_scheduler.service.prospects import Prospects
from tests.unit.scheduler.factories import NOW, beat, queued, run_spec

BOTH = (ProgramKind.QUAFU, ProgramKind.CONTAINER)
CONTAINER = Needs(ProgramKind.CONTAINER)
GIB = 1 << 30


def memory(*beats: object, since: float = 0.0) -> Memory:
    fleet = Fleet(lease_seconds=10, memory_seconds=60)
    for each in beats:
        fleet.heard(each, now=0)  # type: ignore[arg-type]
    return Memory(Backlog(), fleet, since=since)


def wait(job_id: str, needs: Needs, *, owner: str = "a", priority: int = 0) -> Waiting:
    return Waiting(job_id, owner, f"p{needs.kind}", priority, None, needs)


def start(held: Memory) -> tuple[str, str] | None:
    """Start what is due; return which job on which executor."""
    found = held.next()
    if found is None:
        return None
    held.reserve(found.due, found.executor)
    return found.due.job_id, found.executor.name


# --- kinds ----------------------------------------------------------------------------------------


def test_a_job_goes_to_an_executor_that_runs_its_kind() -> None:
    held = memory(beat("plain", slots=8), beat("engine", slots=1, kinds=BOTH))
    for number in (1, 2):
        held.backlog.add(wait(f"j{number}", CONTAINER))
    assert start(held) == ("j1", "engine")
    assert start(held) is None, "the one that has an engine is full"


def test_what_cannot_be_placed_holds_up_nobody_else() -> None:
    held = memory(beat("plain", slots=2))
    held.backlog.add(wait("j1", CONTAINER, priority=9))
    held.backlog.add(wait("j2", Needs()))
    assert start(held) == ("j2", "plain")
    assert start(held) is None
    held.fleet.heard(beat("plain", slots=2, kinds=BOTH), now=1)
    assert start(held) == ("j1", "plain"), "its engine is there now"


# --- resources ------------------------------------------------------------------------------------


def test_what_jobs_declare_is_taken_from_their_executor_until_they_end() -> None:
    held = memory(beat(slots=4, cpus=2.0, memory_bytes=4 * GIB))
    big = Needs(cpus=1.5, memory_bytes=GIB)
    for number in (1, 2):
        held.backlog.add(wait(f"j{number}", big))
    held.backlog.add(wait("j3", Needs(), owner="b"))
    assert [start(held), start(held), start(held)] == [("j1", "e1"), ("j3", "e1"), None]
    held.unreserve("j1")
    assert start(held) == ("j2", "e1")


def test_leases_count_as_what_their_jobs_declare() -> None:
    held = memory(beat(slots=4, gpus=1, gpu_type="A100"))
    needs = Needs(gpus=1, gpu_type="a100")
    held.fleet.hold(Lease("j1", "a", "p", 1, "e1", "i1", since=0, needs=needs))
    assert held.fleet.room(needs) is None
    held.fleet.heard(beat("e1", "i2", slots=4, gpus=1, gpu_type="A100"), now=1)
    assert held.fleet.room(needs), "another life of the executor has nothing of it"
    assert held.fleet.room(Needs(gpus=1, gpu_type="H100")) is None


def test_a_large_job_is_not_overtaken_for_ever() -> None:
    held = memory(beat(slots=2, cpus=2.0), beat("e2", slots=1, cpus=1.0))
    small, large = Needs(cpus=1.0), Needs(cpus=2.0)
    for number in range(200):
        held.backlog.add(wait(f"s{number:03}", small, owner="many"))
    running = [found for _ in range(3) if (found := start(held))]
    held.backlog.add(wait("large", large, owner="one"))
    for turn in range(PATIENCE * 4):
        held.unreserve(running.pop(0)[0])
        if found := start(held):
            running.append(found)
        if ("large", "e1") in running:
            break
        assert running, turn
    assert ("large", "e1") in running
    assert any(where == "e2" for _, where in running) or start(held), "the other executor went on meanwhile"


# --- ever -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (CONTAINER, "no executor runs programs of kind container: none has a container engine"),
        (Needs(cpus=64), "asks for 64 processors, and no executor has more than 4"),
        (Needs(memory_bytes=64 * GIB), "asks for 68719476736 bytes of memory, and no executor has more than"),
        (Needs(gpus=2), "asks for 2 GPUs, and no executor has more than 1"),
        (Needs(gpus=1, gpu_type="H100"), "asks for a GPU of type H100"),
        (Needs(cpus=4, gpus=1), "together than any executor has"),
    ],
)
def test_what_no_executor_has_is_named(needs: Needs, words: str) -> None:
    kinds = (ProgramKind.QUAFU,)
    abilities = [
        Ability(kinds=kinds, cpus=4, memory_bytes=8 * GIB),
        Ability(kinds=kinds, cpus=2, memory_bytes=8 * GIB, gpus=1, gpu_type="A100"),
    ]
    assert words in (why_not(needs, abilities) or "")
    assert why_not(Needs(cpus=2, gpus=1, gpu_type="a100"), abilities) is None
    assert why_not(Needs(cpus=1000), [Ability(kinds=kinds)]) is None, "one that does not say has enough"


def test_executors_that_are_gone_are_remembered_for_a_while() -> None:
    held = memory(beat(kinds=BOTH), beat("e2", slots=0, kinds=BOTH, gpus=8))
    held.fleet.heard(beat(kinds=BOTH, leaving=True), now=1)
    fleet = held.fleet
    assert [each.gpus for each in fleet.abilities(60)] == [0], "who refuses work shows no ability"
    assert fleet.abilities(61) == {}
    fleet.recall([(Ability(kinds=BOTH), 50.0)])
    assert list(fleet.abilities(100).values()) == [50.0]


@dataclass
class Views:
    """What a dispatcher stores over time; the last one stays."""

    views: list[Snapshot]
    reads: int = field(default=0)

    async def snapshot(self) -> Snapshot | None:
        self.reads += 1
        return self.views.pop(0) if len(self.views) > 1 else self.views[0] if self.views else None


Asking = Callable[..., Awaitable[str | None]]


@pytest.fixture
def never() -> Asking:
    clock = [NOW]

    async def asked(*views: Snapshot, run: RunSpec, young: bool = False) -> str | None:
        def tick() -> object:
            clock[0] += timedelta(seconds=0.25)
            return clock[0]

        prospects = Prospects(jobs=Views(list(views)), clock=tick)  # type: ignore[arg-type]
        if not young:
            prospects._since = NOW - timedelta(minutes=1)
        return await prospects.never(run)

    return asked


def view(*kinds: ProgramKind, settled: bool = True, **changes: object) -> Snapshot:
    known = (Known(ability=Ability(kinds=kinds, cpus=2)),) if kinds else ()
    return Snapshot(at=NOW, known=known, settled=settled).model_copy(update=changes)


WANTED = run_spec(kind=ProgramKind.CONTAINER)


async def test_a_job_that_nobody_can_run_is_told_so(never: Asking) -> None:
    assert "kind container" in (await never(view(ProgramKind.QUAFU), run=WANTED) or "")
    assert await never(view(*BOTH), run=WANTED) is None
    large = WANTED.model_copy(update={"resources": Resources(cpus=3)})
    assert "3 processors" in (await never(view(*BOTH), run=large) or "")


async def test_where_nobody_is_known_nothing_is_refused(never: Asking) -> None:
    assert await never(run=WANTED) is None
    assert await never(view(), run=WANTED) is None
    old = view(ProgramKind.QUAFU, at=NOW - timedelta(minutes=1))
    assert await never(old, run=WANTED) is None, "its dispatcher is gone"


async def test_a_dispatcher_that_has_just_begun_is_waited_for(
    never: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_: float) -> None:
        return

    monkeypatch.setattr(asyncio, "sleep", at_once)
    none, early = view(), view(ProgramKind.QUAFU, settled=False)
    assert await never(none, early, view(ProgramKind.QUAFU), run=WANTED, young=True) is not None
    assert await never(none, view(ProgramKind.CONTAINER), run=run_spec(), young=True) is None, "no wait"
    assert await never(early, view(*BOTH, settled=False), run=WANTED) is None
    assert await never(early, view(ProgramKind.QUAFU), run=WANTED) is not None
    assert await never(early, run=WANTED) is None, "it never got settled"


def test_what_is_stored_for_all_replicas() -> None:
    held = memory(beat(kinds=BOTH, cpus=2.0, slots=2))
    held.fleet.hold(Lease("j1", "a", "p", 1, "e1", "i1", since=0, needs=Needs(cpus=1.5)))
    now = SETTLE_SECONDS
    told = held.snapshot(at=NOW, now=now, owner_limit=None, run_seconds=None)
    assert told.settled
    assert [(each.ability.cpus, each.silent_seconds) for each in told.known] == [(2.0, now)]
    assert [each.cpus for each in told.room] == [0.5]
    assert Snapshot.model_validate_json(told.model_dump_json()) == told


def test_a_queued_job_says_what_it_waits_for() -> None:
    held = memory(beat(kinds=(ProgramKind.QUAFU,), cpus=2.0, slots=2))
    held.fleet.hold(Lease("j9", "a", "p", 1, "e1", "i1", since=0, needs=Needs(cpus=1.5)))
    told = held.snapshot(at=NOW, now=9, owner_limit=None, run_seconds=None)

    def reason(run: RunSpec) -> str:
        return place(queued(run=run), ahead=0, snapshot=told, now=NOW).reason

    assert reason(WANTED).startswith("no executor can run it: no executor runs programs of kind container")
    assert "has room for what its program asks for" in reason(run_spec(resources=Resources(cpus=1)))
    assert reason(run_spec()) == "it is about to start"
