"""Jobs that were submitted through this gateway and have not ended, as their news tell of them.

Who submits a job mostly waits for its result at once, at the same gateway. What a job was when it was
stored and all news of it since say what it is now, so nobody has to be asked.
"""

from qrt_chassis.bounded import Bounded
from qrt_contracts.events import JobChanged
from qrt_contracts.jobs import Job
from qrt_contracts.states import TERMINAL

MAX_JOBS = 4096
MAX_INPUT_BYTES = 8192
"""Jobs with larger inputs are not kept."""


class Fresh:
    """Bounded: the oldest is forgotten first, and then asked for."""

    def __init__(self) -> None:
        self._jobs: Bounded[str, Job] = Bounded(MAX_JOBS)
        self._ended: Bounded[str, None] = Bounded(MAX_JOBS)

    def submitted(self, job: Job) -> None:
        """Note a job as its submission was answered, unless news of its end came first."""
        if job.status in TERMINAL or job.id in self._ended or job.input.size > MAX_INPUT_BYTES:
            return
        known = self._jobs.get(job.id)
        if known is None or known.attempt <= job.attempt:
            self._jobs[job.id] = job

    def changed(self, news: JobChanged) -> None:
        """Note what becomes of a job."""
        if news.status in TERMINAL:
            self._jobs.pop(news.job_id, None)
            self._ended[news.job_id] = None
        elif (job := self._jobs.get(news.job_id)) and news.attempt >= job.attempt:
            told = news.model_dump(include={"status", "attempt", "last_output"})
            self._jobs[news.job_id] = job.model_copy(update=told)

    def get(self, caller: str, job_id: str) -> Job | None:
        """Return the caller's job if it is known here that it has not ended."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.owner == caller else None

    def forget_all(self) -> None:
        """Let go of everything: news may have been lost."""
        self._jobs.clear()
