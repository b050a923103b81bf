"""A sweep, blocking."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from quafu_runtime import _calls
from quafu_runtime._client import Client
from quafu_runtime._job import Job
from quafu_runtime._many import JobEnd, JobRefused, ManyState
from quafu_runtime._stream_sync import JobsStream
from quafu_runtime._sweep_state import FOLLOWED, SweepProgress, SweepResults, SweepState
from quafu_runtime.errors import JobNotSucceeded, JobTimeout, QuafuRuntimeError

T = TypeVar("T")


class Sweep(SweepState[Job]):
    """The jobs that `RuntimeService.run_many` made, seen together.

    `sweep[k]` is the job of the k-th input, `len(sweep)` how many there are. Methods may raise
    `NotAuthenticated` and `Unreachable`.
    """

    def __init__(self, client: Client, inputs: Sequence[Any], *, tag: str, concurrency: int) -> None:
        super().__init__(inputs, tag=tag)
        self._client = client
        self._concurrency = concurrency

    def submit(self, fields: Callable[[int], dict[str, Any]]) -> None:
        """Submit the jobs; the first alone, as what is wrong with it is mostly wrong with all."""

        def one(index: int) -> None:
            view = self._client.send(_calls.submit(fields(index)))
            self.submitted(index, Job(view.id, client=self._client, view=view, params=self.inputs[index]))

        def other(index: int) -> None:
            try:
                one(index)
            except QuafuRuntimeError as error:
                self.refused(index, error)

        if self.inputs:
            one(0)
        self._together(other, range(1, len(self)))

    def progress(self) -> SweepProgress:
        """Ask the runtime where the jobs stand, and return how many stand where."""
        if self.unfinished():
            cursor: str | None = None
            while True:
                page = self._client.send(_calls.list_jobs(limit=_calls.PAGE, cursor=cursor, tag=self.tag))
                self.learn(page.jobs)
                cursor = page.next_cursor
                if cursor is None:
                    break
        return self.counted

    def as_completed(self, timeout: float | None = None) -> Generator[tuple[int, Job], None, None]:
        """Yield each job with its place, as they end, in that order; those that never began are left out.

        Raises (while iterating):
            JobTimeout: some had not ended after `timeout` seconds.
            StreamBroken: the runtime could not be heard for a minute.
        """
        self.progress()
        for index in self.ended():
            if (job := self.jobs[index]) is not None:
                yield index, job
        yield from self._follow(timeout)

    def wait(self, timeout: float | None = None) -> SweepProgress:
        """Wait until all have ended.

        Raises:
            JobTimeout: some had not after `timeout` seconds.
        """
        for _ in self.as_completed(timeout):
            pass
        return self.counted

    def results(self, timeout: float | None = None, *, failures: bool = False) -> SweepResults:
        """Wait for all, and return what they returned, in the order of the inputs.

        Args:
            timeout: the longest to wait, in seconds; None is for ever.
            failures: put the error of a job without a result in its place instead of raising.

        Raises:
            SweepFailed: jobs have no result; its `failures` has the error of each by its place.
            JobTimeout: some had not ended in time.
        """
        self.wait(timeout)
        values: dict[int, Any] = {}

        def fetch(index: int) -> None:
            job = self.jobs[index]
            assert job is not None  # noqa: S101 - those that never began are among the failures
            try:
                values[index] = job.value()
            except JobNotSucceeded:
                pass
            except QuafuRuntimeError as error:
                self.refused(index, error)

        failed = self.failures
        self._together(fetch, [index for index in range(len(self)) if index not in failed])
        return self.settled(values, failures=failures)

    def cancel(self) -> SweepProgress:
        """Cancel what has not ended; return where the jobs stand once it has."""
        self._together(self._cancel, self.unfinished())
        return self.wait()

    def _cancel(self, index: int) -> None:
        job = self.jobs[index]
        if job is not None:
            self.learn([self._client.send(_calls.cancel_job(job.id))])

    def _follow(self, timeout: float | None) -> Generator[tuple[int, Job], None, None]:
        waiting = deque(self.unfinished())
        if not waiting:
            return
        first = [self._id(waiting.popleft()) for _ in range(min(FOLLOWED, len(waiting)))]
        expired = threading.Event()
        with JobsStream(self._client.account, ManyState(first)) as events:
            timer = threading.Timer(timeout if timeout is not None else 0, _expire, (expired, events))
            timer.daemon = True
            if timeout is not None:
                timer.start()
            try:
                for event in events:
                    if not isinstance(event, JobEnd | JobRefused):
                        continue
                    index = self.learn_end(event)
                    if waiting:
                        events.follow(self._id(waiting.popleft()))
                    if isinstance(event, JobEnd) and (job := self.jobs[index]) is not None:
                        yield index, job
            finally:
                timer.cancel()
        if expired.is_set() and (left := self.unfinished()) and timeout is not None:
            raise JobTimeout(self._id(left[0]), timeout)

    def _id(self, index: int) -> str:
        job = self.jobs[index]
        assert job is not None  # noqa: S101 - only accepted jobs are unfinished
        return job.id

    def _together(self, do: Callable[[int], T], places: Sequence[int]) -> None:
        """Do something for several places at once; what it raises is raised once all are through."""
        with ThreadPoolExecutor(max_workers=self._concurrency) as pool:
            doing = [pool.submit(do, index) for index in places]
        for each in doing:
            each.result()


def _expire(expired: threading.Event, events: JobsStream) -> None:
    expired.set()
    events.close()
