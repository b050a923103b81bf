"""Jobs as this replica has last stored them, so that the next change need not read them first.

Only a guess: another replica may have changed a job since. Each change is guarded by what it was made
from, so that one made from a stale guess changes nothing, and whoever made it reads the job and tries again.
"""

from qrt_chassis.bounded import Bounded
from qrt_contracts.jobs import Job
from qrt_contracts.states import TERMINAL

MOST = 4096
LARGEST_BYTES = 8192
"""Of a job's input; jobs with larger ones are read when they are needed."""


class Recent:
    """The unfinished jobs that were stored last, `MOST` of them."""

    def __init__(self) -> None:
        self._jobs: Bounded[str, Job] = Bounded(MOST)

    def stored(self, job: Job) -> None:
        """Take note of a job as it was just stored."""
        self._jobs.pop(job.id, None)
        if job.status in TERMINAL or job.input.size > LARGEST_BYTES:
            return
        self._jobs[job.id] = job

    def take(self, job_id: str) -> Job | None:
        """Return a job as it was stored last, once: whoever finds it stale reads it the next time."""
        return self._jobs.pop(job_id, None)
