"""Outputs that a gateway has heard or read lately, for those who come to a job that others follow already.

Without them, each of a crowd that comes one by one would read the job's whole past from the store.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence

from qrt_contracts.events import JobOutput
from qrt_gateway.service.mailbox import Batch, batch_of

JOB_WEIGHT = 4 << 20
"""Bytes of one job that are kept, about: the oldest go first."""
TOTAL_WEIGHT = 64 << 20
"""Bytes of all jobs together; who was quiet the longest is forgotten first."""
OUTPUT_WEIGHT = 1024
"""What an output takes beside its data, about."""


class _Known:
    """Outputs of one attempt, without a gap."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.batches: deque[Batch] = deque()
        self.weight = 0

    @property
    def first(self) -> int:
        return self.batches[0].first

    @property
    def last(self) -> int:
        return self.batches[-1].last

    def append(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.weight += _weight(batch)
        while self.weight > JOB_WEIGHT and len(self.batches) > 1:
            self.weight -= _weight(self.batches.popleft())

    def prepend(self, batch: Batch) -> None:
        """Add what comes right before; leave out what finds no room, and what came before that."""
        if batch.last + 1 == self.first and self.weight + _weight(batch) <= JOB_WEIGHT:
            self.batches.appendleft(batch)
            self.weight += _weight(batch)


class Recent:
    """The newest outputs of jobs with listeners, by the topic of each; no gaps, up to the newest heard."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, _Known] = OrderedDict()
        self._weight = 0
        self.losses = 0
        """How often something was forgotten because what follows it may be missed."""

    def heard(self, key: str, batch: Batch) -> None:
        """Add a live message; one that does not follow what is known takes its place."""
        attempt = batch.message.attempt
        known = self._jobs.get(key)
        if known is None or known.attempt < attempt:
            known = self._begin(key, attempt)
        if attempt < known.attempt or (known.batches and batch.last <= known.last):
            return
        if known.batches and batch.first != known.last + 1:
            known = self._begin(key, attempt)
        self._change(key, known, batch, newer=True)

    def read(self, key: str, batches: Sequence[Batch]) -> None:
        """Add a page of history, itself without a gap, if it leads up to what was heard.

        What comes after that is left out: nobody knows whether the page ends with the newest there is.
        """
        known = self._jobs.get(key)
        if known is None or not known.batches or known.attempt != batches[0].message.attempt:
            return
        older = [_part(each, before=known.first) for each in batches if each.first < known.first]
        for batch in reversed(older):
            self._change(key, known, batch, newer=False)

    def after(self, key: str, attempt: int, number: int) -> list[Batch] | None:
        """Return what holds all outputs after a number, up to the newest; None if some are not known."""
        known = self._jobs.get(key)
        if known is None or not known.batches or known.attempt != attempt:
            return None
        if not known.first <= number + 1 <= known.last + 1:
            return None
        return [batch for batch in known.batches if batch.last > number]

    def knows(self, key: str) -> bool:
        """Tell whether anything of a job is known."""
        return key in self._jobs

    def forget(self, key: str) -> None:
        """Let go of a job: from now on its messages are not heard."""
        self.losses += 1
        self._drop(key)

    def forget_all(self) -> None:
        """Let go of everything: messages may have been lost."""
        self.losses += 1
        self._jobs.clear()
        self._weight = 0

    def _begin(self, key: str, attempt: int) -> _Known:
        self._drop(key)
        known = self._jobs[key] = _Known(attempt)
        return known

    def _drop(self, key: str) -> None:
        if known := self._jobs.pop(key, None):
            self._weight -= known.weight

    def _change(self, key: str, known: _Known, batch: Batch, *, newer: bool) -> None:
        before = known.weight
        (known.append if newer else known.prepend)(batch)
        self._weight += known.weight - before
        self._jobs.move_to_end(key)
        while self._weight > TOTAL_WEIGHT and len(self._jobs) > 1:
            self._drop(next(iter(self._jobs)))


def _weight(batch: Batch) -> int:
    # Its data is held twice: as outputs, and in the frame that is sent.
    return 2 * batch.size + OUTPUT_WEIGHT * len(batch.message.outputs)


def _part(batch: Batch, *, before: int) -> Batch:
    """Return the outputs of a batch that come before a number; the batch itself if all do."""
    message = batch.message
    if batch.last < before:
        return batch
    kept = message.outputs[: before - batch.first]
    return batch_of(JobOutput.model_construct(job_id=message.job_id, attempt=message.attempt, outputs=kept))
