"""One listener's place in a job's outputs: which frames each piece of news amounts to.

News comes from two sides that overlap: pages of history, and live messages that may be repeated,
late, out of order or missed. Numbers decide: an output is sent when it is the next one, dropped
when it was sent, and otherwise shows that something was missed, which history then fills.
"""

from collections.abc import Iterable, Iterator, Sequence

from qrt_contracts.api import AttemptFrame, EndFrame, Frame, OutputsFrame, StateFrame
from qrt_contracts.commands import OutputPage
from qrt_contracts.events import JobChanged, JobOutput
from qrt_contracts.states import TERMINAL, JobState
from qrt_contracts.values import Output

FRAME_BYTES = 128 << 10
"""Outputs of a history page are cut into frames of about this much data."""


def pieces(outputs: Sequence[Output]) -> Iterator[tuple[Output, ...]]:
    """Yield `outputs` cut into what one frame holds."""
    begin, size = 0, 0
    for index, each in enumerate(outputs):
        if index > begin and size + len(each.data) > FRAME_BYTES:
            yield tuple(outputs[begin:index])
            begin, size = index, 0
        size += len(each.data)
    if outputs:
        yield tuple(outputs[begin:])


def rank_of(status: JobState, attempt: int) -> tuple[int, int]:
    """Return what grows with every change of a job's state, so that late news can be told from new."""
    # QUEUED with an attempt number is what follows the loss of that attempt.
    return attempt, 2 if status in TERMINAL else 1 if status is JobState.QUEUED else 0


class Following:
    """The state of one listener. Give it news, send the frames it returns, ask what it needs."""

    def __init__(self, job_id: str, *, attempt: int = 0, after: int = 0) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self.number = after
        """The last output sent."""
        self.reach = 0
        """The highest number of this attempt known to exist."""
        self.ended: JobChanged | None = None
        self.complete = False
        """History says that the job has ended and that it holds nothing more."""
        self._must_read = True
        self._more = False
        self._placed = False
        self._told = (-1, 0)

    @property
    def behind(self) -> bool:
        """Stored outputs may hold something that live messages did not bring: read history."""
        return self._must_read or self._more or self.number < self.reach

    @property
    def reads_on(self) -> bool:
        """History had more than was read, and nothing else is amiss."""
        return self._more and not self._must_read and self.number >= self.reach

    @property
    def done(self) -> bool:
        """The job has ended and every output has been sent."""
        if self.ended is None or self.number < self.ended.last_output:
            return False
        # Nobody knows the last number of an attempt that was lost: what history has is all there is.
        return self.ended.last_output > 0 or not self._more

    def end(self) -> EndFrame:
        """Return the last frame; only once `done`."""
        assert self.ended is not None  # noqa: S101 - what `done` says
        return EndFrame(
            job_id=self.job_id,
            status=self.ended.status,
            attempt=self.ended.attempt,
            last_output=self.ended.last_output,
            problem=self.ended.problem,
        )

    def missed(self) -> None:
        """Note that live messages may have been lost: only history can tell."""
        self._must_read = True

    def output(self, message: JobOutput, shared: OutputsFrame) -> list[Frame]:
        """Return what a live message adds; `shared` is the whole message as a frame."""
        if message.attempt < self.attempt:
            return []
        frames = self._enter(message.attempt)
        first, last = message.outputs[0].number, message.outputs[-1].number
        if first > self.number + 1:
            self.reach = max(self.reach, last)
            return frames
        if first == self.number + 1:
            frames.append(shared)
            self.number = last
        else:
            frames += self._frames(message.outputs)
        self._more = False  # live messages join what was read: history has nothing in between
        return frames

    def join(self, known: Iterable[tuple[JobOutput, OutputsFrame]]) -> list[Frame]:
        """Return what messages add that hold all outputs up to the newest: nothing has to be read for now."""
        frames = [frame for message, shared in known for frame in self.output(message, shared)]
        self._must_read = self._more = False
        self._placed = True
        return frames

    def is_next(self, message: JobOutput) -> bool:
        """Tell whether a live message is exactly what comes next, and nothing else is to be done."""
        return (
            message.outputs[0].number == self.number + 1
            and message.attempt == self.attempt
            and self.ended is None
            and not self.behind
        )

    def sent(self, message: JobOutput) -> None:
        """Note that a message which `is_next` was sent as it is."""
        self.number = message.outputs[-1].number

    def changed(self, message: JobChanged) -> list[Frame]:
        """Return what a change of the job's state adds."""
        if message.attempt < self.attempt or self.ended is not None:
            return []
        if message.status not in TERMINAL:
            return [*self._enter(message.attempt), *self._state(message.status, message.attempt)]
        frames = self._enter(message.attempt)
        self.ended = message
        self.reach = max(self.reach, message.last_output)
        return frames

    def page(self, page: OutputPage, shared: Sequence[OutputsFrame]) -> list[Frame]:
        """Return what a page of history adds, read from (`attempt`, `number`).

        `shared` is all outputs of the page as frames.
        """
        self._must_read = False
        if page.attempt < self.attempt and self._placed:
            return []  # told by a replica of the database that is behind
        if page.attempt < self.attempt:
            # The caller named an attempt that never was: there is only one place to start.
            self.attempt, self.number = 0, 0
        self._placed = True
        frames = self._enter(page.attempt)
        if page.status not in TERMINAL:
            frames += self._state(page.status, page.attempt)
        before = self.number
        if is_whole(page.outputs, after=before):
            frames += shared
            self.number = page.outputs[-1].number
        else:
            frames += self._frames(page.outputs)
        self._more = self.number > before and not page.complete
        self.complete = page.complete and self.number >= page.last
        return frames

    def _enter(self, attempt: int) -> list[Frame]:
        if attempt <= self.attempt:
            return []
        self.attempt, self.number, self.reach = attempt, 0, 0
        return [AttemptFrame(job_id=self.job_id, attempt=attempt)]

    def _state(self, status: JobState, attempt: int) -> list[Frame]:
        rank = rank_of(status, attempt)
        if rank <= self._told:
            return []
        self._told = rank
        return [StateFrame(job_id=self.job_id, status=status, attempt=attempt)]

    def _frames(self, outputs: Sequence[Output]) -> list[Frame]:
        """Return the outputs among `outputs` that come next, in frames of bounded size."""
        fresh = pieces(list(self._next(outputs)))
        return [OutputsFrame(job_id=self.job_id, attempt=self.attempt, outputs=each) for each in fresh]

    def _next(self, outputs: Sequence[Output]) -> Iterator[Output]:
        for each in outputs:
            if each.number == self.number + 1:
                self.number = each.number
                yield each


def is_whole(outputs: Sequence[Output], *, after: int) -> bool:
    """Tell whether `outputs` are exactly what comes after a number, with nothing missing among them."""
    return bool(outputs) and outputs[0].number == after + 1 and outputs[-1].number == after + len(outputs)
