"""Following many jobs on one connection: the rules, without the connection.

Each job has a place of its own, as in `_stream`. A new connection begins by asking for each from where
it was; a hole in one job's outputs is mended the same way.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qrt_contracts.api import EndFrame, ErrorFrame, StateFrame, Subscribe, Unsubscribe
from qrt_contracts.faults import Problem
from quafu_runtime import errors
from quafu_runtime._outputs import JobOutput
from quafu_runtime._patience import STREAMING, Patience
from quafu_runtime._status import JobStatus, status_of
from quafu_runtime._stream import Reconnecting, StreamState, read_frame

PATH = "/v1/stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChange:
    """A job is in this status now."""

    job_id: str
    status: JobStatus
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """A job that was followed has ended, and all its outputs were delivered."""

    job_id: str
    status: JobStatus
    problem: Problem | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRefused:
    """A job cannot be followed; `problem` says why."""

    job_id: str
    problem: Problem


JobEvent = JobOutput | JobChange | JobEnd | JobRefused
"""What a stream of many jobs brings."""


class ManyState(Reconnecting):
    """One listener's places in the outputs of many jobs."""

    path = PATH

    def __init__(
        self,
        job_ids: Iterable[str] = (),
        *,
        all_jobs: bool = False,
        outputs: bool = False,
        patience: Patience = STREAMING,
    ) -> None:
        super().__init__(lambda: f"events of {len(self._places)} jobs", patience)
        self._all = all_jobs
        self._outputs = outputs
        self._places = {job_id: StreamState(job_id) for job_id in job_ids}
        self._told: dict[str, JobChange] = {}
        self._lock = threading.Lock()

    @property
    def done(self) -> bool:
        """Every job that was to be followed has ended."""
        return not self._all and not self._places

    @property
    def greetings(self) -> Sequence[str]:
        """What a new connection asks for."""
        with self._lock:
            asked = [_subscribe(place) for place in self._places.values()]
        if self._all:
            asked.append(Subscribe(type="subscribe", all=True, outputs=self._outputs).model_dump_json())
        return asked

    def query(self) -> dict[str, str]:
        """Return nothing: frames say what is wanted."""
        return {}

    def follow(self, job_id: str, *, after: int = 0, attempt: int = 0) -> str:
        """Add a job; return the frame that asks for it."""
        place = StreamState(job_id, after=after, attempt=attempt)
        with self._lock:
            self._places[job_id] = place
        return _subscribe(place)

    def leave(self, job_id: str) -> str:
        """Drop a job; return the frame that says so."""
        with self._lock:
            self._places.pop(job_id, None)
        return Unsubscribe(type="unsubscribe", job_id=job_id).model_dump_json()

    def received(self, text: str | bytes) -> Sequence[JobEvent]:
        """Take one frame; return what is new in it.

        Raises:
            RequestRefused: the runtime does not understand this library.
            StreamBroken: this connection is of no more use; another one may be.
        """
        frame = read_frame(text)
        self.progress()
        if isinstance(frame, ErrorFrame):
            return self._problem(frame)
        job_id = getattr(frame, "job_id", None)
        if isinstance(frame, StateFrame):
            return self._change(frame)
        place = self._place(job_id) if job_id is not None else None
        if place is None or frame is None:
            return []
        found: list[JobEvent] = list(place.took(frame))
        if isinstance(frame, EndFrame):
            self._forget(frame.job_id)
            status = status_of(frame.status)
            found.append(JobEnd(job_id=frame.job_id, status=status, problem=frame.problem))
        return found

    def _change(self, frame: StateFrame) -> Sequence[JobEvent]:
        """Return the change, nothing if it was told before: a new connection begins with how things stand."""
        change = JobChange(job_id=frame.job_id, status=status_of(frame.status), attempt=frame.attempt)
        if self._told.get(frame.job_id) == change:
            return []
        self._told[frame.job_id] = change
        if change.status.final:
            del self._told[frame.job_id]
        return [change]

    def _problem(self, frame: ErrorFrame) -> Sequence[JobEvent]:
        if frame.problem.retryable and frame.problem.code != "Overloaded":
            raise errors.StreamBroken(frame.problem.detail)
        if frame.job_id is None:
            raise errors.refusal(frame.problem, missing=errors.JobNotFound)
        self._forget(frame.job_id)
        return [JobRefused(job_id=frame.job_id, problem=frame.problem)]

    def _place(self, job_id: str) -> StreamState | None:
        with self._lock:
            if job_id not in self._places and self._outputs:
                self._places[job_id] = StreamState(job_id)
            return self._places.get(job_id)

    def _forget(self, job_id: str) -> None:
        with self._lock:
            self._places.pop(job_id, None)


def _subscribe(place: StreamState) -> str:
    return Subscribe(
        type="subscribe", job_id=place.job_id, after=place.after, attempt=place.attempt or None
    ).model_dump_json()
