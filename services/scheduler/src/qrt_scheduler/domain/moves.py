"""The moves of a job, each a pure function from job to job.

`MOVES` in the contracts is the table; `_moved` is the one place that applies it. Time is passed in.
"""

from datetime import datetime
from typing import Any

from qrt_contracts.endings import Ending, ended
from qrt_contracts.events import AttemptFinished
from qrt_contracts.faults import Problem
from qrt_contracts.jobs import Attempt, AttemptEnd, Job
from qrt_contracts.states import MOVES, TERMINAL, JobState

REMEMBERED_ATTEMPTS = 50
"""Attempts a job's record keeps; refusals do not count against `max_attempts` and could be many."""


class IllegalMoveError(Exception):
    """The table has no such move: a bug in the caller, never a user's doing."""

    def __init__(self, job: Job, to: JobState) -> None:
        super().__init__(f"job {job.id}: {job.status} -> {to}")


def begin(job: Job, *, executor: str, incarnation: str, now: datetime) -> Job:
    """Start the next attempt of a queued job on an executor."""
    attempt = Attempt(number=job.attempt + 1, executor=executor, incarnation=incarnation, started_at=now)
    return _moved(
        job,
        JobState.RUNNING,
        attempt=attempt.number,
        attempts=_remembered((*job.attempts, attempt)),
        started_at=now,
    )


def is_current(job: Job, event: AttemptFinished) -> bool:
    """Tell whether `event` speaks of the attempt that runs now, and not of a ghost."""
    newest = job.newest
    return (
        job.status is JobState.RUNNING
        and newest is not None
        and (newest.number, newest.executor, newest.incarnation)
        == (event.attempt, event.executor, event.incarnation)
    )


def finish(job: Job, event: AttemptFinished, *, now: datetime) -> Job:
    """Settle a running job by what its executor reports. The caller has checked `is_current`.

    Its executor's clock may be wrong: no time it tells is before the attempt was ordered, or to come.
    """
    if event.end == "cancelled" and not job.cancel_requested:
        # Told to end by a dispatcher that did not know it, and not by its owner.
        return lose(job, reason=f"executor {event.executor} ended it unasked", now=now)
    if event.end == "refused" and event.usage is not None and job.run.max_attempts == 1:
        # It had begun to run, and its program asks never to be run twice.
        return lose(job, reason=event.problem.detail if event.problem else "given back", now=now)
    end = AttemptEnd(event.end)
    ordered = job.attempts[-1].started_at
    started_at = _within(ordered, event.started_at, now)
    ended_at = _within(started_at, event.ended_at, now)
    attempts = _with_end(
        job,
        end=end,
        ended_at=ended_at,
        started_at=started_at,
        reason=event.problem.detail if event.problem else None,
        isolation=event.isolation,
        usage=event.usage,
        last_output=event.last_output,
    )
    if end is AttemptEnd.REFUSED:
        return _requeued_or_cancelled(job, attempts, ended_at)
    to = {
        AttemptEnd.SUCCEEDED: JobState.SUCCEEDED,
        AttemptEnd.FAILED: JobState.FAILED,
        AttemptEnd.CANCELLED: JobState.CANCELLED,
    }[end]
    return _moved(
        job,
        to,
        attempts=attempts,
        result=event.result if to is JobState.SUCCEEDED else None,
        partial=event.partial,
        files=event.files,
        skipped_files=event.skipped_files,
        problem=None if to is JobState.SUCCEEDED else event.problem or _unexplained(to),
        last_output=event.last_output,
        started_at=started_at,
        ended_at=ended_at,
    )


def withdraw(job: Job, *, reason: str, now: datetime) -> Job:
    """Take back a running attempt whose order certainly reached nobody: it counts as none."""
    attempts = _with_end(job, end=AttemptEnd.REFUSED, ended_at=now, reason=reason)
    return _requeued_or_cancelled(job, attempts, now)


def lose(job: Job, *, reason: str, now: datetime) -> Job:
    """Give up on a running attempt that nobody vouches for any more.

    The job goes back to the queue while its attempts allow, else it fails as ExecutorLost.
    """
    attempts = _with_end(job, end=AttemptEnd.LOST, ended_at=now, reason=reason)
    if job.cancel_requested or _spent(attempts) < job.run.max_attempts:
        return _requeued_or_cancelled(job, attempts, now)
    detail = f"{reason}; {_spent(attempts)} of {job.run.max_attempts} attempts were made"
    return _moved(
        job,
        JobState.FAILED,
        attempts=attempts,
        problem=ended(Ending.EXECUTOR_LOST, detail, retryable=True),
        ended_at=now,
    )


def cancel(job: Job, *, now: datetime) -> Job:
    """Ask for a job's end: at once if it is queued, by a flag if it runs, nothing if it has ended."""
    if job.status is JobState.QUEUED:
        return _cancelled(job, job.attempts, now, "cancelled before it started")
    if job.status is JobState.RUNNING and not job.cancel_requested:
        return job.model_copy(update={"cancel_requested": True, "revision": job.revision + 1})
    return job


def _requeued_or_cancelled(job: Job, attempts: tuple[Attempt, ...], now: datetime) -> Job:
    if job.cancel_requested:
        return _cancelled(job, attempts, now, "cancelled; its executor did not come back")
    return _moved(job, JobState.QUEUED, attempts=attempts, started_at=None)


def _cancelled(job: Job, attempts: tuple[Attempt, ...], now: datetime, detail: str) -> Job:
    return _moved(
        job,
        JobState.CANCELLED,
        attempts=attempts,
        problem=ended(Ending.CANCELLED, detail),
        ended_at=now,
    )


def _unexplained(to: JobState) -> Problem:
    ending = Ending.CANCELLED if to is JobState.CANCELLED else Ending.EXECUTOR_FAULT
    return ended(ending, "the executor gave no reason")


def _within(earliest: datetime, told: datetime, now: datetime) -> datetime:
    return max(earliest, min(told, now))


def _remembered(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Return what a record keeps of its attempts: what counts is forgotten last."""
    over = len(attempts) - REMEMBERED_ATTEMPTS
    if over <= 0:
        return attempts
    idle = [each.number for each in attempts[:-1] if each.end is AttemptEnd.REFUSED][:over]
    kept = tuple(each for each in attempts if each.number not in idle)
    return kept[-REMEMBERED_ATTEMPTS:]


def _spent(attempts: tuple[Attempt, ...]) -> int:
    return sum(attempt.end is not AttemptEnd.REFUSED for attempt in attempts)


def _with_end(job: Job, **changes: Any) -> tuple[Attempt, ...]:
    return (*job.attempts[:-1], job.attempts[-1].model_copy(update=changes))


def _moved(job: Job, to: JobState, **changes: Any) -> Job:
    if (job.status, to) not in MOVES:
        raise IllegalMoveError(job, to)
    if to in TERMINAL:
        changes["cancel_requested"] = False
        changes["confidential"] = None
    return job.model_copy(update={**changes, "status": to, "revision": job.revision + 1})
