"""What a client knows of one job, and how that is told in the words of Quafu Runtime."""

import json
from datetime import UTC
from email.utils import format_datetime
from typing import Any

from qrt_contracts import codec
from qrt_contracts.api import EndFrame, JobView, ResultView
from qrt_contracts.endings import TITLES, Ending
from qrt_contracts.faults import Problem
from qrt_contracts.states import TERMINAL, JobState
from quafu_runtime import _html
from quafu_runtime._status import JobStatus, state_of, status_of
from quafu_runtime.errors import JobCancelled, JobFailed, JobNotSucceeded


class JobResult(dict[str, Any]):
    """What `Job.result` returns: a dictionary that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return _html.facts("Result", self.items())


class JobRecord:
    """The newest facts about one job. A final state, once known, is never asked for again."""

    def __init__(self, job_id: str, view: JobView | None = None) -> None:
        self.job_id = job_id
        self.view = view
        self.logs: str | None = None
        """All of the job's log, once it has ended."""
        self._status = view.status if view else JobState.QUEUED
        self._problem = view.problem if view else None
        self._result: ResultView | None = None
        self._told = False

    @property
    def final(self) -> bool:
        """Whether the job is known to have ended."""
        return self._status in TERMINAL

    @property
    def status(self) -> JobStatus:
        """The status last heard of."""
        return status_of(self._status)

    @property
    def result(self) -> ResultView | None:
        """How the job ended, once that was fetched."""
        return self._result

    def learn(self, view: JobView) -> None:
        """Take in a description of the job."""
        self.view = view
        self._learn(view.status, view.problem)

    def learn_end(self, end: EndFrame) -> None:
        """Take in the end of its stream."""
        self._learn(end.status, end.problem)

    def learn_status(self, status: JobStatus, problem: Problem | None) -> None:
        """Take in its end as a stream of many jobs tells it."""
        self._learn(state_of(status), problem)

    def failure(self) -> JobNotSucceeded | None:
        """Return why the job has no result and never will have; None if it has, or has not ended."""
        if not self.final or self._status is JobState.SUCCEEDED:
            return None
        cls = JobCancelled if self._status is JobState.CANCELLED else JobFailed
        return cls(self.job_id, self.problem)

    def learn_result(self, result: ResultView) -> None:
        """Take in an answer about its result."""
        self._learn(result.status, result.problem)
        if self.final:
            self._result = result

    def value(self) -> Any:
        """Return what the program returned.

        Raises:
            JobFailed, JobCancelled: it returned nothing.
        """
        if self._status is JobState.SUCCEEDED and self._result is not None:
            return codec.decode(self._result.result)
        raise self.failure() or JobFailed(self.job_id, self.problem)

    @property
    def problem(self) -> Problem:
        """Why the job has no result."""
        cancelled = self._status is JobState.CANCELLED
        ending = Ending.CANCELLED if cancelled else Ending.PROGRAM_ERROR
        return self._problem or Problem(code=ending.value, title=TITLES[ending], detail="no reason was given")

    def told(self) -> JobResult:
        """Return the result as `Job.result` gives it: the first time in other words than later."""
        first, self._told = not self._told, self.final
        if self._status is JobState.FAILED:
            return JobResult(status=self.status, error_msg=self.problem.detail)
        if self._status is not JobState.SUCCEEDED or self._result is None:
            return JobResult(result=None, status=self.status)
        text = json.dumps(self._result.result)
        finished = self._finished()
        if first:
            return JobResult(finish_time=finished, result=text, status=self.status)
        return JobResult(result=text, finished_time=finished, status=self.status)

    def html(self) -> str:
        """Return what a notebook shows of the job: what is known, without asking."""
        view = self.view
        rows: list[tuple[str, Any]] = [("status", f"{self._status.value} ({self.status.value})")]
        if view is not None:
            rows += [("program", f"{view.program.name} (version {view.program.version})")]
            rows += [("backend", view.backend), ("tags", ", ".join(view.tags) or None), ("seed", view.seed)]
            rows += [("created", view.created_at), ("started", view.started_at), ("ended", view.ended_at)]
        if self.final and self._status is not JobState.SUCCEEDED:
            rows += [("problem", f"{self.problem.code}: {self.problem.detail}")]
            rows += [("traceback", self.problem.traceback)]
        return _html.facts(f"Job {self.job_id}", rows)

    def told_error(self) -> str:
        """Return the error as `Job.err_msg` gives it."""
        if self._status is JobState.FAILED:
            return self.problem.detail
        return f"The job's status is: {self.status}"

    def _finished(self) -> str | None:
        ended = self._result.ended_at if self._result else None
        return format_datetime(ended.astimezone(UTC), usegmt=True) if ended else None

    def _learn(self, status: JobState, problem: Problem | None) -> None:
        if self.final:
            return
        self._status = status
        self._problem = problem or self._problem
