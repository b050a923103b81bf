"""A job, asynchronously: the twin of `_job`. It prints nothing."""

import asyncio
import inspect
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal, overload

from qrt_contracts.api import JobProgram, JobView
from qrt_contracts.values import Circuit, OutputFile
from quafu_runtime import _calls, errors
from quafu_runtime._account import Account
from quafu_runtime._async_client import AsyncClient
from quafu_runtime._callbacks import listener
from quafu_runtime._decoder import ResultDecoder
from quafu_runtime._files import Writing, named
from quafu_runtime._job import CANCEL_SECONDS
from quafu_runtime._outputs import InterimResult, LogText
from quafu_runtime._record import JobRecord, JobResult
from quafu_runtime._status import JobStatus
from quafu_runtime._stream import StreamState
from quafu_runtime._stream_async import AsyncOutputStream
from quafu_runtime._waiting import Waiting
from quafu_runtime._watch import Show


class AsyncJob:
    """One run of a program; the methods of `Job`, to be awaited."""

    def __init__(
        self,
        job_id: str,
        account: Account | None = None,
        *,
        client: AsyncClient | None = None,
        view: JobView | None = None,
        params: Any = None,
    ) -> None:
        self._client = client or AsyncClient(account or Account())
        self._record = JobRecord(job_id, view)
        self._interim: AsyncOutputStream | None = None
        self.params = params
        """What the job was run with, if this object knows."""

    @property
    def id(self) -> str:
        """The job's id."""
        return self._record.job_id

    async def program(self) -> JobProgram:
        """Return what the job runs: program id, name, version and digest."""
        return (self._record.view or await self.refresh()).program

    async def tags(self) -> tuple[str, ...]:
        """Return the words it was tagged with."""
        return (self._record.view or await self.refresh()).tags

    async def backend(self) -> str | None:
        """Return the backend the program was uploaded for."""
        return (self._record.view or await self.refresh()).backend

    async def result(
        self,
        wait: bool = True,
        timeout: float | None = None,  # noqa: ASYNC109  # ends in the typed JobTimeout
    ) -> JobResult:
        """Return how the job stands or ended; see `Job.result`.

        Raises:
            JobTimeout: the job had not ended after `timeout` seconds.
        """
        await (self._await_result(timeout) if wait else self._ask_result(0))
        return self._record.told()

    async def value(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # ends in the typed JobTimeout
    ) -> Any:
        """Wait for the job's end and return what the program returned, decoded from JSON.

        Raises:
            JobFailed: with the problem and, for the program's own exception, its traceback.
            JobCancelled: the job was cancelled.
            JobTimeout: the job had not ended after `timeout` seconds.
        """
        await self._await_result(timeout)
        return self._record.value()

    def outputs(self, *, after: int = 0, attempt: int = 0) -> AsyncOutputStream:
        """Return an asynchronous iterator of the job's outputs; see `Job.outputs`."""
        return AsyncOutputStream(self._client.account, StreamState(self.id, after=after, attempt=attempt))

    async def watch(self) -> JobStatus:
        """Print the log, interim results and progress as they come; see `Job.watch`."""
        show = Show()
        async with self.outputs() as outputs:
            async for output in outputs:
                show.output(output)
        if outputs.end is not None:
            show.end(outputs.end)
            self._record.learn_end(outputs.end)
        return self._record.status

    async def interim_results(
        self, callback: Callable[..., Any], decoder: type[ResultDecoder] | None = None
    ) -> None:
        """Call or await `callback` for each interim result and then for the job's id as bytes.

        Returns when the job has ended or `interim_result_cancel` is called. See `Job.interim_results`
        for what the callback gets; an exception of it passes through.

        Raises:
            InvalidState: this job's interim results are being streamed already.
            StreamBroken: the stream could not be resumed for a minute.
        """
        if self._interim is not None:
            raise errors.InvalidState("A callback function is already streaming results.")
        heard = listener(callback, decoder)
        self._interim = self.outputs()
        try:
            async with self._interim as outputs:
                async for output in outputs:
                    if isinstance(output, InterimResult):
                        await _finished(heard.call(output))
                if outputs.end is not None:
                    self._record.learn_end(outputs.end)
                    await _finished(heard.finish(self.id))
        finally:
            self._interim = None

    async def interim_result_cancel(self) -> None:
        """Stop streaming interim results. The job goes on."""
        if self._interim is not None:
            await self._interim.aclose()

    async def status(self) -> JobStatus:
        """Return the job's status."""
        await self._ensure_known()
        return self._record.status

    @overload
    async def logs(self, follow: Literal[False] = False) -> str: ...

    @overload
    async def logs(self, follow: Literal[True]) -> AsyncIterator[str]: ...

    async def logs(self, follow: bool = False) -> str | AsyncIterator[str]:
        """Return all that the program has printed so far.

        With `follow`, return an iterator of the text as it is printed, to the job's end.
        """
        return self._followed() if follow else await self._logs()

    async def _followed(self) -> AsyncIterator[str]:
        async with self.outputs() as outputs:
            async for output in outputs:
                if isinstance(output, LogText):
                    yield output.text

    async def _logs(self) -> str:
        if self._record.logs is not None:
            return self._record.logs
        await self._ensure_known()
        ended = self._record.final  # before the logs are read: only then are they all there
        text = await self._client.send(_calls.get_logs(self.id))
        if ended:
            self._record.logs = text
        return text

    async def circuits(self) -> list[Circuit]:
        """Return the circuits the job has sent to backends and that have ended, in that order."""
        found: list[Circuit] = []
        after = 0
        while True:
            page = await self._client.send(_calls.get_circuits(self.id, after=after))
            found += page.circuits
            if page.complete or page.last == after:
                return found
            after = page.last

    async def files(self) -> tuple[OutputFile, ...]:
        """Return what the job left in its output directory; nothing while it has not ended."""
        return (await self._client.send(_calls.list_files(self.id))).files

    async def download(self, name: str, path: str | os.PathLike[str]) -> Path:
        """Write one of the job's files to `path`, a file or a folder that is there, and return where it is.

        It stands there whole or not at all, in place of what was there.

        Raises:
            NotFound: the job has left no such file.
            Unreachable: its content broke off, or is not what was announced.
            OSError: it cannot be written.
        """
        file = named(await self.files(), name)
        with Writing(file, path) as target:
            async for chunk in self._client.read(_calls.file_request(self.id, name)):
                await asyncio.to_thread(target.write, chunk)
        return target.path

    async def err_msg(self) -> str:
        """Return why the job failed, or a sentence with its status if it did not."""
        await self._ensure_known()
        return self._record.told_error()

    async def cancel(self) -> dict[str, JobStatus]:
        """Cancel the job and wait until its program is dead; return its status.

        A job that had ended before keeps its status.
        """
        await self._ensure_known()
        if not self._record.final:
            self._record.learn(await self._client.send(_calls.cancel_job(self.id)))
            await self._settle(CANCEL_SECONDS)
        await self.interim_result_cancel()
        return {"status": self._record.status}

    async def delete(self) -> bool:
        """Delete an ended job with its result and outputs; return False if it has not ended."""
        await self._ensure_known()
        if not self._record.final:
            return False
        await self._client.send(_calls.delete_job(self.id))
        return True

    async def refresh(self) -> JobView:
        """Ask the runtime for the job and return all it tells: attempts, limits, usage, times."""
        view = await self._client.send(_calls.get_job(self.id))
        self._record.learn(view)
        return view

    def _repr_html_(self) -> str:
        return self._record.html()

    def __repr__(self) -> str:
        view = self._record.view
        return f"<AsyncJob({self.id!r}, {view.program.name if view else '?'!r}, {self._record.status})>"

    async def _ensure_known(self) -> None:
        if not self._record.final:
            await self.refresh()

    async def _await_result(self, seconds: float | None) -> None:
        await self._settle(seconds)
        if seconds is not None and self._record.result is None:
            raise errors.JobTimeout(self.id, seconds)

    async def _settle(self, seconds: float | None) -> None:
        """Wait for the end of the job, or of the time."""
        waiting = Waiting(seconds, now=time.monotonic())
        while self._record.result is None:
            wait = waiting.ask(now=time.monotonic())
            if wait is None:
                return
            await self._ask_result(wait)
            if self._record.result is None:
                await asyncio.sleep(waiting.rest(now=time.monotonic()))

    async def _ask_result(self, wait: float) -> None:
        if self._record.result is None:
            self._record.learn_result(await self._client.send(_calls.get_result(self.id, wait=wait)))


async def _finished(returned: Any) -> None:
    if inspect.isawaitable(returned):
        await returned
