"""A sweep: one program run with many inputs. What is known of its jobs, without I/O."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from qrt_contracts.api import JobView
from quafu_runtime import _html
from quafu_runtime._many import JobEnd, JobRefused
from quafu_runtime._record import JobRecord
from quafu_runtime._status import JobStatus
from quafu_runtime.errors import (
    JobNotFound,
    JobNotSucceeded,
    QuafuRuntimeError,
    SweepFailed,
    refusal,
)

CONCURRENCY = 8
"""Requests of one sweep that are on their way at once, unless it is told otherwise."""
FOLLOWED = 50
"""Jobs followed at a time: half of what one connection may follow."""
SHOWN = 20
"""Failures that a notebook shows."""


class Recorded(Protocol):
    """A job, blocking or not."""

    _record: JobRecord

    @property
    def id(self) -> str:
        """The job's id."""


J = TypeVar("J", bound=Recorded)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepProgress:
    """How many jobs of a sweep stand where."""

    total: int
    queued: int
    running: int
    done: int
    cancelled: int
    failed: int
    """Ended with an error, or could not be submitted."""

    @property
    def ended(self) -> int:
        """Jobs that have ended, well or not."""
        return self.done + self.cancelled + self.failed

    @property
    def finished(self) -> bool:
        """Whether all have ended."""
        return self.ended == self.total


class SweepResults(list[Any]):
    """What the jobs of a sweep returned, in the order of their inputs; a failed one's place has its error."""

    def _repr_html_(self) -> str:
        return _html.columns(f"{len(self)} results", ("#", "result"), enumerate(self))


class SweepState(Generic[J]):
    """The jobs of a sweep in the order of their inputs, and how they stand."""

    def __init__(self, inputs: Sequence[Any], *, tag: str) -> None:
        self.inputs = tuple(inputs)
        """What each job was run with."""
        self.tag = tag
        """A tag that all jobs of this sweep have, and no others."""
        self.jobs: list[J | None] = [None] * len(inputs)
        """The jobs, in order; None where the submission was refused (`failures` tells why)."""
        self._places: dict[str, int] = {}
        self._refused: dict[int, QuafuRuntimeError] = {}

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[J | None]:
        return iter(self.jobs)

    def __getitem__(self, index: int) -> J | None:
        return self.jobs[index]

    @property
    def states(self) -> list[JobStatus]:
        """The status of each job as last heard of, in order; ERROR where the submission was refused."""
        return [JobStatus.ERROR if record is None else record.status for record in self._records()]

    @property
    def counted(self) -> SweepProgress:
        """How many jobs stand where, as last heard of."""
        count = Counter(self.states)
        return SweepProgress(
            total=len(self),
            queued=count[JobStatus.QUEUED],
            running=count[JobStatus.RUNNING],
            done=count[JobStatus.DONE],
            cancelled=count[JobStatus.CANCELLED],
            failed=count[JobStatus.ERROR],
        )

    @property
    def failures(self) -> Mapping[int, QuafuRuntimeError]:
        """Why jobs have no result, as far as is known, by their place: failed, cancelled or not accepted."""
        found = dict(self._refused)
        for index, record in enumerate(self._records()):
            if index not in found and record is not None and (error := record.failure()) is not None:
                found[index] = error
        return dict(sorted(found.items()))

    def submitted(self, index: int, job: J) -> None:
        """Note that a job was accepted."""
        self.jobs[index] = job
        self._places[job.id] = index

    def refused(self, index: int, error: QuafuRuntimeError) -> None:
        """Note that a job was not, or that it is gone."""
        self._refused[index] = error

    def unfinished(self) -> list[int]:
        """Return the places of jobs that are not known to have ended."""
        return [
            index
            for index, record in enumerate(self._records())
            if record is not None and index not in self._refused and not record.final
        ]

    def ended(self) -> list[int]:
        """Return the places of jobs that are known to have ended, and of those that never began."""
        unfinished = set(self.unfinished())
        return [index for index in range(len(self)) if index not in unfinished]

    def learn(self, views: Sequence[JobView]) -> None:
        """Take in descriptions of jobs."""
        for view in views:
            if (index := self._places.get(view.id)) is not None and (job := self.jobs[index]) is not None:
                job._record.learn(view)

    def learn_end(self, event: JobEnd | JobRefused) -> int:
        """Take in the end of one job; return its place."""
        index = self._places[event.job_id]
        record = self._records()[index]
        if isinstance(event, JobRefused):
            self.refused(index, refusal(event.problem, missing=JobNotFound))
        elif record is not None:
            record.learn_status(event.status, event.problem)
        return index

    def settled(self, values: Mapping[int, Any], *, failures: bool) -> SweepResults:
        """Return the values in order.

        Raises:
            SweepFailed: some have none, and `failures` does not ask for their errors in their places.
        """
        failed = dict(self.failures)
        if failed and not failures:
            raise SweepFailed(failed, total=len(self))
        return SweepResults(failed.get(index, values.get(index)) for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} jobs: {self._said()}>"

    def _repr_html_(self) -> str:
        now = self.counted
        rows: list[tuple[str, Any]] = [("ended", f"{now.ended} of {now.total}"), ("jobs", self._said())]
        for index, error in list(self.failures.items())[:SHOWN]:
            rows.append((f"#{index}", error.args[0] if not isinstance(error, JobNotSucceeded) else error))
        return _html.facts(f"Sweep of {len(self)} jobs", rows)

    def _said(self) -> str:
        count = Counter(self.states)
        return ", ".join(f"{count[status]} {status.name}" for status in JobStatus if count[status]) or "none"

    def _records(self) -> list[JobRecord | None]:
        return [None if job is None else job._record for job in self.jobs]
