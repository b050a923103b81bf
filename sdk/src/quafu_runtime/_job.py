"""A job, blocking."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, overload

from qrt_contracts.api import JobProgram, JobView
from qrt_contracts.values import Circuit, OutputFile
from quafu_runtime import _calls, errors
from quafu_runtime._account import Account
from quafu_runtime._callbacks import listener
from quafu_runtime._client import Client
from quafu_runtime._decoder import ResultDecoder
from quafu_runtime._files import Writing, named
from quafu_runtime._interim import InterimStreaming
from quafu_runtime._outputs import LogText
from quafu_runtime._record import JobRecord, JobResult
from quafu_runtime._said import CANCEL_FAILED, FINISHED, say
from quafu_runtime._status import JobStatus
from quafu_runtime._stream import StreamState
from quafu_runtime._stream_sync import OutputStream
from quafu_runtime._waiting import Waiting
from quafu_runtime._watch import Show

CANCEL_SECONDS = 30.0
"""How long `cancel` waits for the program's death: well over the grace a program is given."""


class Job:
    """One run of a program. `RuntimeService.run` makes it; `Job(job_id, account)` finds one again.

    Every method may raise `JobNotFound`, `NotAuthenticated` and `Unreachable`.
    """

    def __init__(
        self,
        job_id: str,
        account: Account | None = None,
        *,
        client: Client | None = None,
        view: JobView | None = None,
        params: Any = None,
    ) -> None:
        self._client = client or Client(account or Account())
        self._record = JobRecord(job_id, view)
        self._interim: InterimStreaming | None = None
        self.params = params
        """What the job was run with, if this object knows."""

    @property
    def id(self) -> str:
        """The job's id."""
        return self._record.job_id

    @property
    def program(self) -> JobProgram:
        """What the job runs: program id, name, version and digest."""
        return self._view().program

    @property
    def tags(self) -> tuple[str, ...]:
        """The words it was tagged with."""
        return self._view().tags

    @property
    def backend(self) -> str | None:
        """The backend the program was uploaded for."""
        return self._view().backend

    def job_id(self) -> str:
        """Return the job's id."""
        return self.id

    def program_id(self) -> str:
        """Return the id of the program the job runs."""
        return self.program.id

    def result(self, wait: bool = True, timeout: float | None = None) -> JobResult:
        """Return how the job stands or ended.

        Args:
            wait: wait for the job's end; otherwise answer at once.
            timeout: the longest to wait, in seconds; None is for ever.

        Returns:
            The return value as JSON text under `result`, `status`, and the time of the end, which is
            called `finish_time` the first time and `finished_time` later. A job that has not ended
            has `result` None. A failed job has `error_msg` in place of `result`.

        Raises:
            JobTimeout: the job had not ended in time.
        """
        self._await_result(timeout) if wait else self._ask_result(0)
        return self._record.told()

    def value(self, timeout: float | None = None) -> Any:
        """Wait for the job's end and return what the program returned, decoded from JSON.

        Raises:
            JobFailed: with the problem and, for the program's own exception, its traceback.
            JobCancelled: the job was cancelled.
            JobTimeout: the job had not ended after `timeout` seconds.
        """
        self._await_result(timeout)
        return self._record.value()

    def outputs(self, *, after: int = 0, attempt: int = 0) -> OutputStream:
        """Return an iterator of the job's outputs: `InterimResult` and `LogText`, in order, each once.

        It begins with what was put out already, follows the job live across lost connections, and ends
        when the job has. To go on later, give `after` and `attempt` of the last output you have. When an
        executor was lost, another attempt begins: `attempt` grows and `number` starts at 1 again.

        Raises (while iterating):
            StreamBroken: the stream could not be resumed for a minute.
        """
        return OutputStream(self._client.account, StreamState(self.id, after=after, attempt=attempt))

    def watch(self) -> JobStatus:
        """Print the log, interim results and progress as they come, and return the status at the end.

        Raises:
            StreamBroken: the stream could not be resumed for a minute.
        """
        show = Show()
        with self.outputs() as outputs:
            for output in outputs:
                show.output(output)
        if outputs.end is not None:
            show.end(outputs.end)
            self._record.learn_end(outputs.end)
        return self._record.status

    def interim_results(
        self,
        callback: Callable[..., Any] | None = None,
        decoder: type[ResultDecoder] | None = None,
        *,
        wait: bool | None = None,
    ) -> None:
        """Call `callback` for each interim result, from the first on, and then for the job's id as bytes.

        Args:
            callback: a function of `(job_id, message)`, which gets messages as bytes, or of `(message)`,
                which gets what `ResultDecoder` makes of them. None prints every message.
            decoder: turns each message's bytes into a value.
            wait: block until the stream has ended, or follow it in a background thread. Unless given, a
                callback of one argument is called in the background, as clients of its time did.

        An exception of the callback ends a blocking call and is raised from it. In the background it is
        logged with its traceback and the next message is delivered.

        Raises:
            InvalidState: this job's interim results are being streamed already.
            StreamBroken: the stream could not be resumed for a minute (logged, in the background).
        """
        if self._interim is not None and self._interim.running:
            raise errors.InvalidState("A callback function is already streaming results.")
        heard = listener(callback or say_message, decoder)
        blocking = wait if wait is not None else (callback is None or heard.with_job_id)
        self._interim = InterimStreaming(self.outputs(), heard, self._record)
        if blocking:
            self._interim.run()
        else:
            self._interim.start()

    def interim_result_cancel(self) -> None:
        """Stop streaming interim results. The job goes on."""
        if self._interim is not None and self._interim.running:
            self._interim.stop()
        else:
            say(FINISHED)

    def status(self) -> JobStatus:
        """Print and return the job's status."""
        if self._record.final:
            say(f"Job {self.id} status: {self._record.status}")
        else:
            self.refresh()
            say(f"Job status: {self._record.status}")
        return self._record.status

    @overload
    def logs(self, follow: Literal[False] = False) -> str: ...

    @overload
    def logs(self, follow: Literal[True]) -> Iterator[str]: ...

    def logs(self, follow: bool = False) -> str | Iterator[str]:
        """Print the job's status and return all that the program has printed so far.

        With `follow`, print nothing and return an iterator of the text as it is printed, to the job's end.
        """
        return self._followed() if follow else self._logs()

    def _followed(self) -> Iterator[str]:
        with self.outputs() as outputs:
            for output in outputs:
                if isinstance(output, LogText):
                    yield output.text

    def _logs(self) -> str:
        if not self._record.final:
            self.refresh()
        ended = self._record.final  # before the logs are read: only then are they all there
        text = self._record.logs
        if text is None:
            text = self._client.send(_calls.get_logs(self.id))
        if ended:
            self._record.logs = text
        say(f"Job status: {self._record.status}")
        return text

    def circuits(self) -> list[Circuit]:
        """Return the circuits the job has sent to backends and that have ended, in that order."""
        found: list[Circuit] = []
        after = 0
        while True:
            page = self._client.send(_calls.get_circuits(self.id, after=after))
            found += page.circuits
            if page.complete or page.last == after:
                return found
            after = page.last

    def files(self) -> tuple[OutputFile, ...]:
        """Return what the job left in its output directory; nothing while it has not ended."""
        return self._client.send(_calls.list_files(self.id)).files

    def download(self, name: str, path: str | os.PathLike[str]) -> Path:
        """Write one of the job's files to `path`, a file or a folder that is there, and return where it is.

        It stands there whole or not at all, in place of what was there.

        Raises:
            NotFound: the job has left no such file.
            Unreachable: its content broke off, or is not what was announced.
            OSError: it cannot be written.
        """
        file = named(self.files(), name)
        with Writing(file, path) as target:
            for chunk in self._client.read(_calls.file_request(self.id, name)):
                target.write(chunk)
        return target.path

    def err_msg(self) -> str:
        """Return why the job failed, or a sentence with its status if it did not."""
        if not self._record.final:
            self.refresh()
        return self._record.told_error()

    def cancel(self) -> dict[str, JobStatus]:
        """Cancel the job and wait until its program is dead; streaming of interim results stops too.

        Returns:
            The job's status. A job that had ended before keeps its status.
        """
        if not self._record.final:
            self.refresh()
        if not self._record.final:
            self._record.learn(self._client.send(_calls.cancel_job(self.id)))
            self._settle(CANCEL_SECONDS)
            if self._record.final and self._record.status is not JobStatus.CANCELLED:
                say(CANCEL_FAILED)
        if self._interim is not None and self._interim.running:
            self._interim.stop()
        return {"status": self._record.status}

    def delete(self) -> bool:
        """Delete an ended job with its result and outputs; return whether it was."""
        if not self._record.final:
            self.refresh()
        if not self._record.final:
            say(f"Job {self.id} status: {self._record.status}, can't be delete")
            return False
        self._client.send(_calls.delete_job(self.id))
        say("Job deleted: True, Error: None")
        return True

    def refresh(self) -> JobView:
        """Ask the runtime for the job and return all it tells: attempts, limits, usage, times."""
        view = self._client.send(_calls.get_job(self.id))
        self._record.learn(view)
        return view

    def _repr_html_(self) -> str:
        return self._record.html()

    def __repr__(self) -> str:
        view = self._record.view
        return f"<Job({self.id!r}, {view.program.name if view else '?'!r}, {self._record.status})>"

    def _view(self) -> JobView:
        return self._record.view or self.refresh()

    def _await_result(self, seconds: float | None) -> None:
        self._settle(seconds)
        if seconds is not None and self._record.result is None:
            raise errors.JobTimeout(self.id, seconds)

    def _settle(self, seconds: float | None) -> None:
        """Wait for the end of the job, or of the time."""
        waiting = Waiting(seconds, now=time.monotonic())
        while self._record.result is None:
            wait = waiting.ask(now=time.monotonic())
            if wait is None:
                return
            self._ask_result(wait)
            if self._record.result is None:
                time.sleep(waiting.rest(now=time.monotonic()))

    def _ask_result(self, wait: float) -> None:
        if self._record.result is None:
            self._record.learn_result(self._client.send(_calls.get_result(self.id, wait=wait)))


def say_message(message: Any) -> None:
    """Print a message: what a missing callback does."""
    say(str(message))
