"""The history of outputs: stored as they come, read without gaps.

A reader that knows of a number not yet stored waits for it: pushed by the batch that brings it
when this replica stores it, found by looking again when another one does.
"""

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass, field

from qrt_contracts.commands import OutputPage, ReadOutputs
from qrt_contracts.events import JobOutput
from qrt_contracts.jobs import AttemptEnd, Job
from qrt_contracts.states import TERMINAL
from qrt_contracts.values import Output, OutputKind
from qrt_scheduler import metrics
from qrt_scheduler.domain.access import seen
from qrt_scheduler.ports import READ_BYTES, JobStore, OutputStore
from qrt_scheduler.service.trusted import Trusted

LOOK_AGAIN_SECONDS = 0.25
WAIT_SECONDS = 5.0
"""The longest a read waits for a number it was told of; well inside a command's deadline."""
SCAN_LIMIT = 1000
SCAN_PAGES = 16
"""Outputs, and pages of them, that one read looks through for those of one kind."""
WAITING = 16
"""Reads that wait at once; one more is answered with what there is, lest commands find nobody free."""


@dataclass(slots=True)
class _Scan:
    """What one read has found so far."""

    reached: int
    """The number of the last output looked at."""
    outputs: list[Output] = field(default_factory=list)
    size: int = 0
    """Characters of data found."""
    full: bool = False
    """There may be more than was looked at."""

    def take(self, output: Output, kind: OutputKind | None) -> None:
        self.reached = output.number
        if kind is None or output.kind is kind:
            self.outputs.append(output)
            self.size += len(output.data)


class History:
    """Stores and reads outputs."""

    def __init__(self, *, jobs: JobStore, outputs: OutputStore, trusted: Trusted) -> None:
        self._jobs = jobs
        self._outputs = outputs
        self._arrivals: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._trusted = trusted
        self._room = asyncio.Semaphore(WAITING)

    async def store(self, batch: JobOutput) -> None:
        """Store a batch of outputs, once however often it is delivered; a ghost's are dropped."""
        if not await self._current(batch):
            metrics.GHOST_OUTPUTS.inc(len(batch.outputs))
            return
        await self._outputs.add(batch)
        metrics.OUTPUTS.inc(len(batch.outputs))
        for waiter in self._arrivals.get(batch.job_id, ()):
            waiter.set()

    async def _current(self, batch: JobOutput) -> bool:
        """Tell whether a batch is of the newest attempt, as was known a moment ago."""
        if self._trusted.holds(batch.job_id, batch.attempt):
            return True
        newest = await self._jobs.newest(batch.job_id)
        if newest is None or batch.attempt < newest.number:
            return False
        if batch.attempt == newest.number and newest.lost:
            return False
        self._trusted.note(batch.job_id, batch.attempt)
        return True

    async def read(self, command: ReadOutputs) -> OutputPage:
        """Return stored outputs of the job's newest attempt, waiting for what must be there."""
        arrival = asyncio.Event()
        self._arrivals[command.job_id].add(arrival)
        try:
            return await self._read(command, arrival)
        finally:
            self._arrivals[command.job_id].discard(arrival)
            if not self._arrivals[command.job_id]:
                del self._arrivals[command.job_id]

    async def _read(self, command: ReadOutputs, arrival: asyncio.Event) -> OutputPage:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + WAIT_SECONDS
        while True:
            arrival.clear()
            job = seen(await self._jobs.get(command.job_id), command)
            after = command.after if command.attempt == job.attempt else 0
            scan = await self._scan(job, command, after=after)
            left = give_up - loop.time()
            waits = scan.reached == after and after < _needed(command, job)
            if not waits or left <= 0 or self._room.locked():
                return _page(job, scan)
            async with self._room:
                await _set_within(arrival, min(left, LOOK_AGAIN_SECONDS))

    async def _scan(self, job: Job, command: ReadOutputs, *, after: int) -> _Scan:
        """Read on until as many outputs of the wanted kind are found as were asked for, within bounds."""
        wanted = command.limit if command.kind is None else max(command.limit, SCAN_LIMIT)
        scan = _Scan(after)
        for _ in range(1 if command.kind is None else SCAN_PAGES):
            found = await self._outputs.read(job.id, job.attempt, after=scan.reached, limit=wanted)
            size = sum(len(each.data) for each in found)
            scan.full = len(found) == wanted or size >= READ_BYTES
            for each in found:
                scan.take(each, command.kind)
                if len(scan.outputs) == command.limit:
                    scan.full = True
                    return scan
            if not scan.full or scan.size >= READ_BYTES:
                break
        return scan


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _needed(command: ReadOutputs, job: Job) -> int:
    """Return the number that is known to exist for the attempt that is read, and will be stored."""
    if job.newest and job.newest.end is AttemptEnd.LOST:
        return 0  # what a ghost is heard to publish is not kept
    reach = command.reach if command.attempt == job.attempt else 0
    return max(reach, job.last_output if job.status in TERMINAL else 0)


def _page(job: Job, scan: _Scan) -> OutputPage:
    # The number of a lost attempt's last output is not known: then what is stored is all there is.
    all_read = job.last_output > 0 or not scan.full
    return OutputPage(
        attempt=job.attempt,
        status=job.status,
        outputs=tuple(scan.outputs),
        last=scan.reached,
        complete=job.status in TERMINAL and scan.reached >= job.last_output and all_read,
    )
