"""Delivering a job's interim results to a callback, blocking or from a thread of its own."""

import logging
import threading
from collections.abc import Callable
from functools import partial

from quafu_runtime._callbacks import Listener
from quafu_runtime._outputs import InterimResult
from quafu_runtime._record import JobRecord
from quafu_runtime._said import FINISHED, say, streaming_started
from quafu_runtime._stream_sync import OutputStream
from quafu_runtime.errors import QuafuRuntimeError

logger = logging.getLogger("quafu_runtime")


class InterimStreaming:
    """One delivery of a job's interim results, from the first message to the closing line."""

    def __init__(self, outputs: OutputStream, listener: Listener, record: JobRecord) -> None:
        self._outputs = outputs
        self._listener = listener
        self._record = record
        # Not a daemon: a script's last messages are delivered before it exits.
        self._thread = threading.Thread(target=self._guarded, name=f"interim-{record.job_id}")

    @property
    def running(self) -> bool:
        """Whether the delivery runs in its thread."""
        return self._thread.is_alive()

    def run(self) -> None:
        """Deliver here, until the job has ended. An exception of the callback passes through."""
        self._announce()
        with self._outputs:
            for output in self._outputs:
                if isinstance(output, InterimResult):
                    self._listener.call(output)
            self._finish()
        say(FINISHED)

    def start(self) -> None:
        """Deliver from a thread, until the job has ended or `stop` is called."""
        self._announce()
        self._thread.start()

    def stop(self) -> None:
        """End the delivery; its closing line is printed when this returns, unless called by the callback."""
        self._outputs.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _announce(self) -> None:
        for line in streaming_started(self._record.job_id, older=self._listener.with_job_id):
            say(line)

    def _guarded(self) -> None:
        try:
            for output in self._outputs:
                if isinstance(output, InterimResult):
                    self._reported(partial(self._listener.call, output))
            self._reported(self._finish)
        except QuafuRuntimeError:
            logger.exception("streaming the interim results of job %s ended early", self._record.job_id)
        finally:
            say(FINISHED)

    def _reported(self, deliver: Callable[[], object]) -> None:
        try:
            deliver()
        except Exception:  # the user's function: whatever it raises is told, and the next message comes
            logger.exception("the callback failed on a message of job %s", self._record.job_id)

    def _finish(self) -> None:
        if self._outputs.end is not None:
            self._record.learn_end(self._outputs.end)
            self._listener.finish(self._record.job_id)
