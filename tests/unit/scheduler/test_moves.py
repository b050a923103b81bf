"""The moves of a job."""

import itertools
from datetime import timedelta

import pytest

from qrt_contracts.jobs import AttemptEnd, Job
from qrt_contracts.states import MOVES, TERMINAL, JobState
from qrt_contracts.values import OutputFile, SkippedFile, Usage
from qrt_scheduler.domain import moves
from tests.unit.scheduler.factories import LATER, NOW, finished, queued


def running(job: Job | None = None) -> Job:
    return moves.begin(job or queued(), executor="e1", incarnation="i1", now=NOW)


def test_beginning_an_attempt_numbers_it_from_one_and_records_its_executor() -> None:
    job = running()
    assert (job.status, job.attempt, job.started_at) == (JobState.RUNNING, 1, NOW)
    assert [(each.number, each.executor, each.incarnation) for each in job.attempts] == [(1, "e1", "i1")]


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("succeeded", JobState.SUCCEEDED),
        ("failed", JobState.FAILED),
        ("cancelled", JobState.CANCELLED),
    ],
)
def test_an_attempt_that_ends_settles_its_job(end: str, status: JobState) -> None:
    job = running().model_copy(update={"cancel_requested": end == "cancelled"})
    ended = moves.finish(job, finished(job, end), now=LATER)
    assert ended.status is status
    assert ended.ended_at == LATER
    assert ended.last_output == 4
    assert ended.attempts[-1].end == AttemptEnd(end)
    assert (ended.problem is None) == (status is JobState.SUCCEEDED)
    assert (ended.result is not None) == (status is JobState.SUCCEEDED)


def test_a_refused_attempt_goes_back_to_the_queue_and_does_not_count() -> None:
    job = queued(max_attempts=1)
    for _ in range(5):
        started = running(job)
        job = moves.finish(started, finished(started, "refused"), now=LATER)
        assert job.status is JobState.QUEUED
    started = running(job)
    assert started.attempt == 6
    assert moves.lose(started, reason="gone", now=LATER).status is JobState.FAILED


def test_a_lost_attempt_is_followed_by_another_while_attempts_are_left() -> None:
    job = queued(max_attempts=2)
    job = moves.lose(running(job), reason="executor e1 is silent", now=LATER)
    assert job.status is JobState.QUEUED
    job = moves.lose(running(job), reason="executor e1 is silent", now=LATER)
    assert job.status is JobState.FAILED
    assert job.problem is not None
    assert job.problem.code == "ExecutorLost"
    assert "2 of 2 attempts" in job.problem.detail
    assert [each.end for each in job.attempts] == [AttemptEnd.LOST, AttemptEnd.LOST]


def test_a_lost_attempt_of_a_job_to_be_cancelled_cancels_it() -> None:
    job = moves.cancel(running(), now=LATER)
    assert job.cancel_requested
    lost = moves.lose(job, reason="gone", now=LATER)
    assert lost.status is JobState.CANCELLED
    assert not lost.cancel_requested


def test_cancelling_ends_a_queued_job_flags_a_running_one_and_leaves_an_ended_one() -> None:
    assert moves.cancel(queued(), now=LATER).status is JobState.CANCELLED
    flagged = moves.cancel(running(), now=LATER)
    assert (flagged.status, flagged.cancel_requested) == (JobState.RUNNING, True)
    assert moves.cancel(flagged, now=LATER) == flagged
    job = running()
    done = moves.finish(job, finished(job), now=LATER)
    assert moves.cancel(done, now=LATER) == done


def test_every_change_counts_the_revision_up() -> None:
    job = running()
    assert job.revision == 1
    assert moves.finish(job, finished(job), now=LATER).revision == 2
    assert moves.cancel(job, now=LATER).revision == 2


@pytest.mark.parametrize(
    "changes", [{"attempt": 2}, {"executor": "e2"}, {"incarnation": "i2"}], ids=lambda c: next(iter(c))
)
def test_a_report_of_another_attempt_executor_or_incarnation_is_a_ghosts(changes: dict[str, object]) -> None:
    job = running()
    assert moves.is_current(job, finished(job))
    assert not moves.is_current(job, finished(job).model_copy(update=changes))


def test_a_terminal_state_has_no_way_out_and_is_no_ones_start() -> None:
    assert not [move for move in MOVES if move[0] in TERMINAL]


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_move_that_the_table_does_not_have_is_refused(status: JobState) -> None:
    with pytest.raises(moves.IllegalMoveError):
        running(queued(status=status))


def test_the_architecture_page_draws_the_same_table() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[3] / "docs" / "architecture.md").read_text()
    drawn = {
        (JobState(start), JobState(end))
        for start, end in itertools.product(JobState, JobState)
        if f"{start} --> {end}" in page
    }
    assert drawn == MOVES


def test_an_attempt_that_ended_as_cancelled_though_nobody_asked_counts_as_lost() -> None:
    job = running()
    assert moves.finish(job, finished(job, "cancelled"), now=LATER).status is JobState.QUEUED
    last = running(queued(max_attempts=1))
    ended = moves.finish(last, finished(last, "cancelled"), now=LATER)
    assert (ended.status, ended.attempts[-1].end) == (JobState.FAILED, AttemptEnd.LOST)


def test_a_program_that_asks_to_run_once_is_not_run_again_after_it_was_given_back_half_way() -> None:
    used = Usage(wall_seconds=1)
    once, often = running(queued(max_attempts=1)), running(queued(max_attempts=2))
    assert moves.finish(once, finished(once, "refused", usage=used), now=LATER).status is JobState.FAILED
    assert moves.finish(often, finished(often, "refused", usage=used), now=LATER).status is JobState.QUEUED


def test_an_order_that_reached_nobody_counts_as_no_attempt() -> None:
    job = queued(max_attempts=1)
    for _ in range(3):
        job = moves.withdraw(running(job), reason="gone", now=LATER)
        assert job.status is JobState.QUEUED
    assert job.attempt == 3


def test_an_executors_wrong_clock_does_not_reach_the_record() -> None:
    job = running()
    wrong = {"started_at": NOW - timedelta(days=400), "ended_at": LATER + timedelta(days=400)}
    ended = moves.finish(job, finished(job, "succeeded", **wrong), now=LATER)
    assert (ended.started_at, ended.ended_at) == (NOW, LATER)


def test_many_refusals_do_not_make_a_lost_attempt_forgotten() -> None:
    job = moves.lose(running(queued(max_attempts=2)), reason="silent", now=LATER)
    for _ in range(2 * moves.REMEMBERED_ATTEMPTS):
        started = running(job)
        job = moves.finish(started, finished(started, "refused"), now=LATER)
    assert len(job.attempts) <= moves.REMEMBERED_ATTEMPTS
    assert moves.lose(running(job), reason="silent", now=LATER).status is JobState.FAILED


def test_what_an_attempt_left_in_files_is_the_jobs() -> None:
    job = running()
    file = OutputFile(name="a.txt", size=1, sha256="0" * 64)
    skipped = SkippedFile(name="pipe", reason="neither a file nor a directory")
    event = finished(job, "failed").model_copy(
        update={"files": (file,), "skipped_files": (skipped,), "partial": True}
    )
    ended = moves.finish(job, event, now=LATER)
    assert (ended.files, ended.skipped_files, ended.partial) == ((file,), (skipped,), True)


@pytest.mark.parametrize("end", ["succeeded", "failed", "refused"])
def test_what_is_sealed_for_a_job_is_kept_until_it_has_ended_and_no_longer(end: str) -> None:
    job = running(queued().model_copy(update={"confidential": "sealed"}))
    after = moves.finish(job, finished(job, end), now=LATER)
    assert after.confidential == (None if after.status in TERMINAL else "sealed")
