"""Following one job to its end at a terminal: time limits, Ctrl-C, and how to come back."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from qrt_contracts.api import EndFrame, JobView, ResultView
from qrt_contracts.states import TERMINAL, JobState
from quafu_runtime import Job, errors
from quafu_runtime import _calls as calls
from quafu_runtime._job import CANCEL_SECONDS
from quafu_runtime_cli import tables
from quafu_runtime_cli.endings import CANCELLED, FAILED, INTERRUPTED, OK, TIMED_OUT, CommandFailed
from quafu_runtime_cli.explain import failure_of
from quafu_runtime_cli.screen import Screen, end_as_json
from quafu_runtime_cli.state import State

SECOND_CHANCE_SECONDS = 2.0
"""How soon after the first Ctrl-C a second one cancels the job."""


@dataclass(frozen=True)
class Wish:
    """How a job is to be followed."""

    timeout: float | None = None
    cancel_on_interrupt: bool = False
    after: int = 0
    attempt: int = 0


def follow(state: State, job: Job, wish: Wish) -> int:
    """Show what the job puts out until it ends, then how it ended; return the exit code.

    Raises:
        CommandFailed: the job has not succeeded, or its time is over.
    """
    screen = Screen(state)
    outputs = job.outputs(after=wish.after, attempt=wish.attempt)
    alarm = _alarm(wish.timeout, outputs.close)
    place = wish
    try:
        with outputs:
            for output in outputs:
                if 0 < place.attempt < output.attempt:
                    screen.finish()
                    state.say(f"Attempt {place.attempt} was lost; attempt {output.attempt}:")
                place = replace(place, after=output.number, attempt=output.attempt)
                screen.output(output)
    except KeyboardInterrupt:
        screen.finish()
        return interrupted(state, job, wish, place)
    finally:
        alarm.cancel()
    screen.finish()
    if outputs.end is None:
        raise timed_out(job.id, wish.timeout or 0)
    return _told(state, job, outputs.end)


def await_end(state: State, job: Job, wish: Wish) -> int:
    """Wait for the job's end and print its result; return the exit code.

    Raises:
        CommandFailed: the job has not succeeded, or its time is over.
    """
    try:
        job.result(wait=True, timeout=wish.timeout)
    except errors.JobTimeout:
        raise timed_out(job.id, wish.timeout or 0) from None
    except KeyboardInterrupt:
        return interrupted(state, job, wish, wish)
    return tell_result(state, result_of(state, job))


def result_of(state: State, job: Job) -> ResultView:
    """Return how the job stands or has ended, with its result."""
    return state.service.client.send(calls.get_result(job.id, wait=0))


def tell_result(state: State, result: ResultView) -> int:
    """Print what a job has returned. Raises CommandFailed if it has returned nothing."""
    if state.json:
        state.document(result.model_dump(mode="json"))
    if result.status is not JobState.SUCCEEDED:
        raise _failure(result)
    if not state.json:
        state.text(tables.pretty(result.result))
    return OK


def _failure(result: ResultView) -> CommandFailed:
    if result.problem is not None:
        cls = errors.JobCancelled if result.status is JobState.CANCELLED else errors.JobFailed
        return failure_of(cls(result.job_id, result.problem), url=None)
    if result.status in (JobState.FAILED, JobState.CANCELLED):
        code = FAILED if result.status is JobState.FAILED else CANCELLED
        return CommandFailed(result.status.value, f"job {result.job_id}: {result.status.value}", None, code)
    detail = f"job {result.job_id} has not ended: it is {result.status.value}"
    return CommandFailed(
        "NotEnded", detail, f"Wait for it: quafu-runtime result --wait {result.job_id}", title="Not ended"
    )


def timed_out(job_id: str, seconds: float) -> CommandFailed:
    """Return the failure of a command whose time is over."""
    detail = f"job {job_id} had not ended after {seconds:g} s; it goes on"
    hint = f"Follow it: quafu-runtime watch {job_id}\nCancel it: quafu-runtime cancel {job_id}"
    return CommandFailed("Timeout", detail, hint, TIMED_OUT, "The time is over")


def interrupted(state: State, job: Job, wish: Wish, place: Wish) -> int:
    """Leave the job alone and say how to come back, or cancel it if that is wished; return the exit code."""
    if wish.cancel_on_interrupt or _second_thoughts(state, job, place):
        state.say(f"Cancelling job {job.id} ...")
        try:
            status = cancelled(state, job.id).status
        except KeyboardInterrupt:
            state.say("The job was asked to end; not waiting for it.")
            return INTERRUPTED
        if state.json:
            state.line({"type": "cancelled", "job_id": job.id, "status": status.value})
        state.say(f"Job {job.id}: {status.value}")
        return CANCELLED if status is JobState.CANCELLED else INTERRUPTED
    return INTERRUPTED


def cancelled(state: State, job_id: str) -> JobView:
    """Cancel a job, wait until its program is dead, and return it; one that has ended stays as it is."""
    client = state.service.client
    view = client.send(calls.get_job(job_id))
    if view.status in TERMINAL:
        return view
    client.send(calls.cancel_job(job_id))
    with suppress(errors.JobTimeout):
        Job(job_id, client=client).result(wait=True, timeout=CANCEL_SECONDS)
    return client.send(calls.get_job(job_id))


def _second_thoughts(state: State, job: Job, place: Wish) -> bool:
    """Say how to come back; tell whether Ctrl-C is pressed once more."""
    onward = f" --after {place.after} --attempt {place.attempt}" if place.after else ""
    text = (
        f"\nDetached: job {job.id} goes on.\n"
        f"Come back:  quafu-runtime watch {job.id}{onward}\n"
        f"Cancel it:  quafu-runtime cancel {job.id}, or Ctrl-C again within {SECOND_CHANCE_SECONDS:g} s"
    )
    if state.json:
        state.line({"type": "detached", "job_id": job.id, "after": place.after, "attempt": place.attempt})
    state.say(text)
    try:
        time.sleep(SECOND_CHANCE_SECONDS)
    except KeyboardInterrupt:
        return True
    return False


def _told(state: State, job: Job, end: EndFrame) -> int:
    result = result_of(state, job)
    if state.json:
        state.line(end_as_json(end, result=result.result))
    if end.status is not JobState.SUCCEEDED:
        raise _failure(result)
    if not state.json:
        state.say(ending_of(job))
        state.text(tables.pretty(result.result))
    return OK


def ending_of(job: Job) -> str:
    """Return one line about how a job ended."""
    view = job.refresh()
    took = ""
    if view.started_at and view.ended_at:
        took = f" in {tables.duration((view.ended_at - view.started_at).total_seconds())}"
    files = f", {len(view.files)} files" if view.files else ""
    return f"Job {job.id}: {view.status.value}{took}{files}"


def _alarm(seconds: float | None, call: Callable[[], None]) -> threading.Timer:
    """Return what calls after so many seconds, and never if there are none; the caller cancels it."""
    alarm = threading.Timer(seconds or 0, call)
    alarm.daemon = True
    if seconds is not None:
        alarm.start()
    return alarm
