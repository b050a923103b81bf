"""Following a job's outputs over connections that may break: the rules, without the connections.

The state is the last (attempt, number) delivered. A new connection asks for what comes after it;
repeats are dropped, a hole is never passed over, and only the end frame ends the stream.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from qrt_contracts.api import AttemptFrame, EndFrame, ErrorFrame, Frame, OutputsFrame
from qrt_contracts.values import OutputKind
from quafu_runtime import errors
from quafu_runtime._calls import stream_path
from quafu_runtime._outputs import JobOutput, typed
from quafu_runtime._patience import STREAMING, Patience
from quafu_runtime._wire import Reply, problem_of

_FRAME: TypeAdapter[Frame] = TypeAdapter(Frame)
_KNOWN = {"state", "attempt", "outputs", "end", "error", "subscribed", "unsubscribed"}

MAX_FRAME_BYTES = 64 << 20
"""Longest frame accepted: over anything a program's message limits allow by default, and bounded."""

STEADY_SECONDS = 10.0
"""A connection that stood this long was a good one, even if the job had nothing to say."""


T_co = TypeVar("T_co", covariant=True)


class Place(Protocol[T_co]):
    """What a listener has and wants: the rules behind a row of connections."""

    @property
    def path(self) -> str:
        """Where to connect."""

    @property
    def greetings(self) -> Sequence[str]:
        """What to say first on each connection."""

    @property
    def done(self) -> bool:
        """Nothing more is to come."""

    def query(self) -> Mapping[str, str]:
        """Return what a connection made now asks for."""

    def received(self, text: str | bytes) -> Sequence[T_co]:
        """Take one frame; return what is new in it."""

    def opened(self, *, now: float) -> None:
        """Note that a connection stands."""

    def refused(self, reply: Reply) -> errors.QuafuRuntimeError:
        """Return what an HTTP answer in place of a WebSocket means."""

    def lost(self, cause: Exception | None, *, now: float) -> float:
        """Return the pause before the next connection."""


class Reconnecting:
    """When to connect again after a connection failed or broke, and when to give up."""

    def __init__(self, what: Callable[[], str], patience: Patience) -> None:
        self._what = what
        self._patience = patience
        self._failures = 0
        self._first_failure: float | None = None
        self._opened: float | None = None

    def opened(self, *, now: float) -> None:
        """Note that a connection stands."""
        self._opened = now

    def refused(self, reply: Reply) -> errors.QuafuRuntimeError:
        """Return what an HTTP answer in place of a WebSocket means.

        A `StreamBroken` is worth another try, any other error is not.
        """
        problem = problem_of(reply)
        if reply.status in (408, 429) or reply.status >= 500:
            return errors.StreamBroken(f"{problem.title}: {problem.detail}")
        return errors.refusal(problem, missing=errors.JobNotFound)

    def lost(self, cause: Exception | None, *, now: float) -> float:
        """Return the pause before the next connection after one failed or broke.

        Raises:
            StreamBroken: nothing has come for too long.
        """
        if self._opened is not None and now - self._opened >= STEADY_SECONDS:
            self.progress()
        self._opened = None
        if self._first_failure is None:
            self._first_failure = now
        self._failures += 1
        pause = self._patience.pause(self._failures, elapsed=now - self._first_failure)
        if pause is None:
            reason = str(cause) or type(cause).__name__ if cause else "closed without an end"
            raise errors.StreamBroken(f"{self._what()}: {reason}") from cause
        return pause

    def progress(self) -> None:
        """Note that something has come: patience begins anew."""
        self._failures = 0
        self._first_failure = None


class StreamState(Reconnecting):
    """One listener's place in one job's outputs."""

    greetings: Sequence[str] = ()

    def __init__(
        self, job_id: str, *, after: int = 0, attempt: int = 0, patience: Patience = STREAMING
    ) -> None:
        super().__init__(
            lambda: f"outputs of job {job_id} after number {self.after} of attempt {self.attempt}", patience
        )
        self.job_id = job_id
        self.after = after
        self.attempt = attempt
        self.end: EndFrame | None = None

    @property
    def path(self) -> str:
        """Where the stream is."""
        return stream_path(self.job_id)

    @property
    def done(self) -> bool:
        """Every output was delivered."""
        return self.end is not None

    def query(self) -> dict[str, str]:
        """Return what a connection made now asks for."""
        place = {"after": str(self.after)}
        return place | {"attempt": str(self.attempt)} if self.attempt else place

    def received(self, text: str | bytes) -> tuple[JobOutput, ...]:
        """Take one frame; return the outputs in it that were not delivered before.

        Raises:
            RequestRefused: the runtime ends the stream for good.
            StreamBroken: this connection is of no more use; another one may be.
        """
        return self.took(read_frame(text))

    def took(self, frame: Frame | None) -> tuple[JobOutput, ...]:
        """Take one frame, read already; see `received`."""
        if isinstance(frame, OutputsFrame):
            return self._outputs(frame)
        if isinstance(frame, AttemptFrame):
            self._enter(frame.attempt)
        elif isinstance(frame, EndFrame):
            self._end(frame)
        elif isinstance(frame, ErrorFrame):
            if not frame.problem.retryable:
                raise errors.refusal(frame.problem, missing=errors.JobNotFound)
            raise errors.StreamBroken(frame.problem.detail)
        return ()

    def _outputs(self, frame: OutputsFrame) -> tuple[JobOutput, ...]:
        if frame.attempt < self.attempt:
            return ()
        self._enter(frame.attempt)
        fresh: list[JobOutput] = []
        for output in frame.outputs:
            if output.number <= self.after:
                continue
            if output.number != self.after + 1:
                if fresh:  # counted as delivered, so deliver them; the hole shows again with the next frame
                    break
                raise errors.StreamBroken(f"output {self.after + 1} was skipped")
            self.after = output.number
            if output.kind is OutputKind.CIRCUIT:
                continue  # `job.circuits()` tells of them
            fresh.append(typed(output, job_id=self.job_id, attempt=self.attempt))
        if fresh:
            self.progress()
        return tuple(fresh)

    def _enter(self, attempt: int) -> None:
        if attempt > self.attempt:
            # A place given without its attempt is in the first one that shows up.
            self.after = 0 if self.attempt else self.after
            self.attempt = attempt
            self.progress()

    def _end(self, frame: EndFrame) -> None:
        self._enter(frame.attempt)
        if frame.last_output > self.after:
            raise errors.StreamBroken(f"outputs {self.after + 1} to {frame.last_output} are missing")
        self.end = frame


def read_frame(text: str | bytes) -> Frame | None:
    """Return the frame, None if it is of a kind that this version does not know."""
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("type") not in _KNOWN:
            return None
        return _FRAME.validate_python(content)
    except (ValueError, ValidationError) as exc:
        raise errors.StreamBroken(f"a frame could not be read: {exc}") from exc
