"""What the dispatcher concludes from heartbeats and from silence."""

from dataclasses import replace

from qrt_scheduler.domain.fleet import UNLISTED_GRACE_SECONDS, Fleet, Lease
from qrt_scheduler.domain.needs import UNDEMANDING
from tests.unit.scheduler.factories import beat

LATE = UNLISTED_GRACE_SECONDS + 1


def fleet_with(*leases: Lease) -> Fleet:
    fleet = Fleet(lease_seconds=10)
    fleet.heard(beat(), now=0)
    for lease in leases:
        fleet.hold(lease)
    return fleet


def lease(job_id: str = "j1", attempt: int = 1, incarnation: str = "i1") -> Lease:
    return Lease(
        job_id=job_id,
        owner="a",
        program_id="p",
        attempt=attempt,
        executor="e1",
        incarnation=incarnation,
        since=0,
    )


def test_an_executor_has_room_for_its_slots_and_no_more() -> None:
    fleet = fleet_with(lease("j1"))
    assert fleet.room() is fleet.executors["e1"]
    fleet.hold(lease("j2"))
    assert fleet.room() is None
    fleet.release("j1")
    assert fleet.room() is not None


def test_the_executor_with_the_most_room_is_chosen() -> None:
    fleet = fleet_with(lease())
    fleet.heard(beat("e2", "x"), now=0)
    chosen = fleet.room()
    assert chosen is not None
    assert chosen.name == "e2"


def test_a_draining_or_refusing_executor_has_no_room() -> None:
    fleet = fleet_with()
    fleet.heard(beat(draining=True), now=1)
    assert fleet.room() is None
    fleet.heard(beat(), now=2)
    fleet.refused(fleet.executors["e1"])
    assert fleet.room() is None
    fleet.heard(beat(), now=3)
    assert fleet.room() is not None


def test_an_attempt_that_is_not_listed_is_lost_only_after_its_order_had_time_to_arrive() -> None:
    fleet = fleet_with(lease())
    assert not list(fleet.unlisted(beat(), now=1))
    assert not list(fleet.unlisted(beat("e1", "i1", ("j1", 1)), now=LATE))
    assert [each.job_id for each in fleet.unlisted(beat(), now=LATE)] == ["j1"]


def test_a_new_incarnation_has_lost_what_the_old_one_ran_at_once() -> None:
    fleet = fleet_with(lease())
    fleet.heard(beat("e1", "i2"), now=1)
    assert [each.job_id for each in fleet.unlisted(beat("e1", "i2"), now=1)] == ["j1"]
    assert fleet.executors["e1"].free == 2


def test_a_leaving_executor_gives_up_all_it_ran() -> None:
    fleet = fleet_with(lease())
    goodbye = beat(leaving=True)
    fleet.heard(goodbye, now=1)
    assert [each.job_id for each in fleet.unlisted(goodbye, now=1)] == ["j1"]
    assert fleet.room() is None


def test_an_attempt_whose_end_is_being_stored_is_not_missed() -> None:
    held = lease()
    held.settling = True
    fleet = fleet_with(held)
    assert not list(fleet.unlisted(beat(), now=LATE))
    assert not list(fleet.silent(now=100))


def test_silence_longer_than_a_lease_loses_the_attempts() -> None:
    fleet = fleet_with(lease())
    assert not list(fleet.silent(now=9))
    assert [each.job_id for each in fleet.silent(now=11)] == ["j1"]
    assert fleet.room() is None


def test_a_lease_taken_over_from_the_store_waits_a_full_lease_for_its_executor() -> None:
    fleet = Fleet(lease_seconds=10)
    held = lease()
    held.since = 50
    fleet.hold(held)
    assert not list(fleet.silent(now=59))
    assert list(fleet.silent(now=61))


def test_after_our_own_deafness_every_lease_starts_anew() -> None:
    fleet = fleet_with(lease())
    fleet.forgive(now=100)
    assert not list(fleet.silent(now=109))
    assert list(fleet.silent(now=111))


def test_what_nobody_ordered_is_a_ghost() -> None:
    fleet = fleet_with(lease("j1", attempt=2))
    listed = beat("e1", "i1", ("j1", 1), ("j9", 1))
    assert list(fleet.ghosts(listed)) == [("j1", 1), ("j9", 1)]
    assert not list(fleet.ghosts(beat("e1", "i1", ("j1", 2))))


def test_a_late_heartbeat_of_an_earlier_incarnation_says_nothing_about_the_later_one() -> None:
    fleet = Fleet(lease_seconds=10)
    assert fleet.heard(beat("e1", "i2"), now=0)
    fleet.hold(lease(incarnation="i2"))
    for late in (beat("e1", "i1"), beat("e1", "i1", leaving=True)):
        assert not fleet.heard(late, now=LATE)
        assert not list(fleet.unlisted(late, now=LATE))
    assert fleet.executors["e1"].incarnation == "i2"


def test_after_a_take_over_an_earlier_incarnations_heartbeat_does_not_lose_the_later_ones_attempts() -> None:
    fleet = Fleet(lease_seconds=10)
    fleet.hold(lease(incarnation="i2"))
    late = beat("e1", "i1")
    fleet.heard(late, now=LATE)
    assert not list(fleet.unlisted(late, now=LATE))


def test_an_incarnation_from_before_a_clock_was_set_back_is_believed_after_a_lease() -> None:
    fleet = fleet_with(lease(incarnation="i1"))
    assert not fleet.heard(beat("e1", "i0"), now=1)
    assert [each.job_id for each in fleet.silent(now=11)] == ["j1"]
    assert fleet.heard(beat("e1", "i0"), now=12)


def test_room_is_found_by_how_much_there_is_however_it_came_and_went() -> None:
    fleet = fleet_with()
    fleet.heard(beat("e2", "x", slots=4), now=0)
    first, second = fleet.executors["e1"], fleet.executors["e2"]
    assert fleet.room() is second
    for number in range(3):
        fleet.keep(second, f"k{number}", UNDEMANDING)
    assert fleet.room() is first
    fleet.give_back(second, "k0")
    fleet.give_back(second, "k1")
    assert fleet.room() is second
    fleet.heard(beat("e2", "x", leaving=True), now=1)
    fleet.give_back(second, "k2")  # what was kept on one that is gone makes no room
    assert fleet.room() is first
    assert [each.job_id for each in fleet.silent(now=11)] == []
    assert fleet.room() is None


def test_a_job_that_went_to_another_executor_is_of_that_one_alone() -> None:
    fleet = fleet_with(lease("j1"))
    fleet.heard(beat("e2", "x"), now=0)
    fleet.hold(replace(lease("j1", attempt=2, incarnation="x"), executor="e2"))
    assert fleet.leases_of("e1") == []
    assert [each.attempt for each in fleet.leases_of("e2")] == [2]
    assert (fleet.executors["e1"].free, fleet.executors["e2"].free) == (2, 1)


def test_the_longest_silence_is_of_whom_a_lease_depends_on() -> None:
    fleet = fleet_with()
    assert fleet.longest_silence(now=9) == 0
    fleet.hold(lease("j1"))
    assert fleet.longest_silence(now=3) == 3
    fleet.heard(beat(), now=2)
    assert fleet.longest_silence(now=3) == 1
    fleet.heard(beat(leaving=True), now=4)
    assert fleet.longest_silence(now=5) == 5
