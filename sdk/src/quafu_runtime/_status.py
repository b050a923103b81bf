"""Job states in the words of Quafu Runtime."""

from enum import Enum

from qrt_contracts.states import TERMINAL, JobState


class JobStatus(Enum):
    """Where a job stands."""

    QUEUED = "In queue"
    RUNNING = "Actively running"
    DONE = "Done"
    CANCELLED = "Cancelled"
    ERROR = "Error"

    @property
    def final(self) -> bool:
        """Whether the job has ended: a final status never changes."""
        return self in JOB_FINAL_STATES


_WORDS = {
    JobState.QUEUED: JobStatus.QUEUED,
    JobState.RUNNING: JobStatus.RUNNING,
    JobState.SUCCEEDED: JobStatus.DONE,
    JobState.CANCELLED: JobStatus.CANCELLED,
    JobState.FAILED: JobStatus.ERROR,
}

JOB_FINAL_STATES = frozenset(_WORDS[state] for state in TERMINAL)
"""The statuses in which a job has ended."""


def status_of(state: JobState) -> JobStatus:
    """Return the status that stands for a state of the runtime's core."""
    return _WORDS[state]


def state_of(status: JobStatus) -> JobState:
    """Return the core's state that a status stands for."""
    return next(state for state, word in _WORDS.items() if word is status)
