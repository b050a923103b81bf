"""Where the environment of a job is warm it starts at once: such an executor goes first, if it has room."""

from qrt_contracts.values import EnvironmentSpec, Payload, ProgramKind, environment_key
from qrt_scheduler.domain.backlog import Backlog, Waiting
from qrt_scheduler.domain.fleet import Fleet
from qrt_scheduler.domain.needs import Needs
from qrt_scheduler.service.changes import submitted
from qrt_scheduler.service.memory import Memory
from tests.unit.scheduler.factories import beat, queued, run_spec

LOCK = '["a==1 --hash=sha256:00"]'
KEY = environment_key(LOCK)
TEMPLATE = (ProgramKind.QUAFU, ProgramKind.TEMPLATE)
NEEDS = Needs(ProgramKind.TEMPLATE)


def memory(*beats: object) -> Memory:
    fleet = Fleet(lease_seconds=10)
    for each in beats:
        fleet.heard(each, now=0)  # type: ignore[arg-type]
    return Memory(Backlog(), fleet, since=0)


def warm(name: str, *, slots: int = 2, keys: tuple[str, ...] = (KEY,)) -> object:
    return beat(name, slots=slots, kinds=TEMPLATE, warm_environments=keys)


def start(held: Memory, job_id: str, environment: str | None = KEY) -> str:
    held.queue(Waiting(job_id, "a", "p", 0, None, NEEDS, environment))
    chosen = held.next()
    assert chosen is not None
    held.reserve(chosen.due, chosen.executor)
    return chosen.executor.name


def test_a_job_starts_where_its_environment_is_warm_though_others_have_more_room() -> None:
    held = memory(warm("cold", slots=8, keys=()), warm("warm"), warm("other", slots=4, keys=("x",)))
    assert [start(held, f"{number}") for number in range(2)] == ["warm", "warm"]


def test_of_warm_executors_the_one_with_the_most_room_is_taken() -> None:
    held = memory(warm("one"), warm("two", slots=3), warm("cold", slots=8, keys=()))
    assert [start(held, f"{number}") for number in range(3)] == ["two", "one", "two"]


def test_a_job_waits_for_no_warm_executor() -> None:
    held = memory(warm("warm", slots=1), warm("cold", keys=()))
    assert [start(held, f"{number}") for number in range(3)] == ["warm", "cold", "cold"]
    assert held.next() is None


def test_a_job_without_packages_goes_where_there_is_most_room() -> None:
    held = memory(warm("warm"), warm("cold", slots=8, keys=()))
    assert start(held, "1", None) == "cold"


def test_what_heartbeats_say_now_counts() -> None:
    held = memory(warm("one"), warm("cold", slots=8, keys=()))
    held.fleet.heard(warm("one", keys=("x", "x")), now=1)  # type: ignore[arg-type]
    assert start(held, "1") == "cold"
    held.fleet.heard(warm("one", keys=(KEY,)), now=2)  # type: ignore[arg-type]
    assert start(held, "2") == "one"
    again = beat("one", "i2", slots=2, kinds=TEMPLATE)
    held.fleet.heard(again, now=3)
    assert start(held, "3") == "cold"
    held.fleet.heard(warm("cold", slots=8), now=4)  # type: ignore[arg-type]
    held.fleet.heard(beat("cold", leaving=True), now=5)
    assert start(held, "4") == "one"


def test_the_room_that_a_pressing_job_waits_for_stays_free() -> None:
    held = memory(warm("warm"), warm("cold", slots=8, keys=()))
    spare = held.fleet.executors["warm"]
    chosen = held.fleet.room(NEEDS, spare=spare, warm=KEY)
    assert chosen is not None
    assert chosen.name == "cold"


def test_a_key_is_the_same_whether_the_lock_is_in_the_message_or_beside_it() -> None:
    small = EnvironmentSpec(requirements=Payload(text="[]"), lock=Payload(text=LOCK))
    beside = Payload.model_validate({"artifact": {"sha256": KEY, "size": len(LOCK)}})
    assert small.key == EnvironmentSpec(requirements=Payload(text="[]"), lock=beside).key == KEY
    assert EnvironmentSpec(requirements=Payload(text="[]")).key is None
    assert submitted(queued(run=run_spec(environment=small))).environment == KEY
    assert submitted(queued()).environment is None
