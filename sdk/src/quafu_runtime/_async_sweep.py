"""A sweep, asynchronously: the twin of `_sweep`."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from quafu_runtime import _calls
from quafu_runtime._async_client import AsyncClient
from quafu_runtime._async_job import AsyncJob
from quafu_runtime._many import JobEnd, JobEvent, JobRefused, ManyState
from quafu_runtime._stream_async import AsyncJobsStream
from quafu_runtime._sweep_state import FOLLOWED, SweepProgress, SweepResults, SweepState
from quafu_runtime.errors import JobNotSucceeded, JobTimeout, QuafuRuntimeError


class AsyncSweep(SweepState[AsyncJob]):
    """The jobs that `AsyncRuntimeService.run_many` made; the methods of `Sweep`, to be awaited."""

    def __init__(self, client: AsyncClient, inputs: Sequence[Any], *, tag: str, concurrency: int) -> None:
        super().__init__(inputs, tag=tag)
        self._client = client
        self._concurrency = concurrency

    async def submit(self, fields: Callable[[int], dict[str, Any]]) -> None:
        """Submit the jobs; see `Sweep.submit`."""

        async def one(index: int) -> None:
            view = await self._client.send(_calls.submit(fields(index)))
            self.submitted(
                index, AsyncJob(view.id, client=self._client, view=view, params=self.inputs[index])
            )

        async def other(index: int) -> None:
            try:
                await one(index)
            except QuafuRuntimeError as error:
                self.refused(index, error)

        if self.inputs:
            await one(0)
        await self._together(other, range(1, len(self)))

    async def progress(self) -> SweepProgress:
        """Ask the runtime where the jobs stand, and return how many stand where."""
        if self.unfinished():
            cursor: str | None = None
            while True:
                call = _calls.list_jobs(limit=_calls.PAGE, cursor=cursor, tag=self.tag)
                page = await self._client.send(call)
                self.learn(page.jobs)
                cursor = page.next_cursor
                if cursor is None:
                    break
        return self.counted

    async def as_completed(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # ends in the typed JobTimeout
    ) -> AsyncGenerator[tuple[int, AsyncJob], None]:
        """Yield each job with its place, as they end; see `Sweep.as_completed`."""
        await self.progress()
        for index in self.ended():
            if (job := self.jobs[index]) is not None:
                yield index, job
        waiting = deque(self.unfinished())
        if not waiting:
            return
        first = [self._id(waiting.popleft()) for _ in range(min(FOLLOWED, len(waiting)))]
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        events = AsyncJobsStream(self._client.account, ManyState(first))
        async with events:
            while (event := await self._next(events, until, timeout)) is not None:
                if not isinstance(event, JobEnd | JobRefused):
                    continue
                index = self.learn_end(event)
                if waiting:
                    await events.follow(self._id(waiting.popleft()))
                if isinstance(event, JobEnd) and (job := self.jobs[index]) is not None:
                    yield index, job

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # ends in the typed JobTimeout
    ) -> SweepProgress:
        """Wait until all have ended; see `Sweep.wait`."""
        async for _ in self.as_completed(timeout):
            pass
        return self.counted

    async def results(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # ends in the typed JobTimeout
        *,
        failures: bool = False,
    ) -> SweepResults:
        """Wait for all, and return what they returned, in the order of the inputs; see `Sweep.results`."""
        await self.wait(timeout)
        values: dict[int, Any] = {}

        async def fetch(index: int) -> None:
            job = self.jobs[index]
            assert job is not None  # noqa: S101 - those that never began are among the failures
            try:
                values[index] = await job.value()
            except JobNotSucceeded:
                pass
            except QuafuRuntimeError as error:
                self.refused(index, error)

        failed = self.failures
        await self._together(fetch, [index for index in range(len(self)) if index not in failed])
        return self.settled(values, failures=failures)

    async def cancel(self) -> SweepProgress:
        """Cancel what has not ended; return where the jobs stand once it has."""
        await self._together(self._cancel, self.unfinished())
        return await self.wait()

    async def _cancel(self, index: int) -> None:
        self.learn([await self._client.send(_calls.cancel_job(self._id(index)))])

    async def _next(
        self, events: AsyncJobsStream, until: float | None, seconds: float | None
    ) -> JobEvent | None:
        try:
            async with asyncio.timeout_at(until):
                return await anext(events, None)
        except TimeoutError:
            raise JobTimeout(self._id(self.unfinished()[0]), seconds or 0) from None

    def _id(self, index: int) -> str:
        job = self.jobs[index]
        assert job is not None  # noqa: S101 - only accepted jobs are unfinished
        return job.id

    async def _together(self, do: Callable[[int], Awaitable[None]], places: Sequence[int]) -> None:
        """Do something for several places at once, within the sweep's bound."""
        left = iter(places)

        async def work() -> None:
            for index in left:
                await do(index)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._concurrency, len(places))):
                group.create_task(work())
