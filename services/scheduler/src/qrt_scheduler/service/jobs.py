"""What people do with jobs: submit, look, list, cancel, share, delete. Any replica can."""

from dataclasses import replace

from qrt_contracts.commands import (
    CancelJob,
    DeleteJob,
    Done,
    GetJob,
    JobPage,
    ListJobs,
    ShareJob,
    SubmitJob,
    Submitted,
)
from qrt_contracts.events import CancelRequested, Event
from qrt_contracts.faults import Conflict, Forbidden, NotFound, Overloaded, Unavailable, Unrunnable
from qrt_contracts.jobs import Job
from qrt_contracts.rights import JobScope
from qrt_contracts.states import TERMINAL, JobState
from qrt_scheduler import metrics
from qrt_scheduler.domain import moves
from qrt_scheduler.domain.access import owned, seen, shared_to, shares_of
from qrt_scheduler.domain.place import place
from qrt_scheduler.ports import Clock, JobFilter, JobStore, OutputStore
from qrt_scheduler.service.changes import news_of, submitted
from qrt_scheduler.service.outbox import Outbox, outgoing
from qrt_scheduler.service.prospects import Prospects
from qrt_scheduler.service.recent import Recent
from qrt_scheduler.service.retention import forget
from qrt_scheduler.service.room import Room

RACES = 5
"""How often a change is tried anew after another writer was faster."""


RETRY_AFTER_SECONDS = 5.0
"""When a submission that found no room may try again."""


class Jobs:
    """The owners' side of the scheduler."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        outputs: OutputStore,
        outbox: Outbox,
        room: Room,
        recent: Recent,
        prospects: Prospects,
        clock: Clock,
    ) -> None:
        self._recent = recent
        self._prospects = prospects
        self._room = room
        self._jobs = jobs
        self._outputs = outputs
        self._outbox = outbox
        self._clock = clock

    async def submit(self, command: SubmitJob) -> Submitted:
        """Store a job as QUEUED. Repeating the command, or its idempotency key, finds the job."""
        job_id = await self._job_id(command)
        await self._check_room(command, job_id)
        await self._check_prospects(command, job_id)
        job = Job(
            id=job_id,
            owner=command.caller,
            run=command.run,
            input=command.input,
            status=JobState.QUEUED,
            attempt=0,
            priority=command.priority,
            tags=command.tags,
            confidential=command.confidential,
            created_at=self._clock(),
        )
        news = outgoing(job_id, submitted(job))
        if await self._jobs.insert(job, news):
            metrics.SUBMITTED.inc()
            self._room.took(job.owner, job.run)
            self._recent.stored(job)
            await self._outbox.send(news)
            return Submitted(job=job)
        return Submitted(job=await self._repeated(command, job_id), repeated=True)

    async def get(self, command: GetJob) -> Submitted:
        """Return a job that the caller may see, and where it stands if it is queued and that was asked."""
        job = seen(await self._jobs.get(command.job_id), command)
        if not command.place or job.status is not JobState.QUEUED:
            return Submitted(job=job)
        ahead, snapshot = await self._jobs.ahead(job), await self._jobs.snapshot()
        where = place(job, ahead=ahead, snapshot=snapshot, now=self._clock())
        return Submitted(job=job, place=where)

    async def list(self, command: ListJobs) -> JobPage:
        """Return a page of the caller's jobs, or of those of a scope."""
        which = _filter(command)
        found = await self._jobs.page(which, limit=command.limit + 1, before=command.cursor)
        page = found[: command.limit]
        more = len(found) > command.limit
        return JobPage(jobs=tuple(page), next_cursor=page[-1].id if more else None)

    async def cancel(self, command: CancelJob) -> Submitted:
        """Ask for a job's end."""
        for _ in range(RACES):
            job = owned(await self._jobs.get(command.job_id), command)
            new = moves.cancel(job, now=self._clock())
            if new == job:
                await self._ask_again(job)
                return Submitted(job=job, repeated=True)
            events: tuple[Event, ...] = (CancelRequested(job_id=job.id),)
            if new.status in TERMINAL:
                events = (*news_of(new), *events)
            news = outgoing(job.id, *events)
            if await self._jobs.update(job, new, news):
                await self._outbox.send(news)
                return Submitted(job=new)
        raise Unavailable(f"job {command.job_id} changes too fast just now; try again")

    async def delete(self, command: DeleteJob) -> Done:
        """Forget an ended job with its outputs."""
        job = owned(await self._jobs.get(command.job_id), command)
        if job.status not in TERMINAL:
            raise Conflict(f"job {job.id} is {job.status}; cancel it before deleting it")
        await forget(job.id, jobs=self._jobs, outputs=self._outputs)
        return Done()

    async def share(self, command: ShareJob) -> Submitted:
        """Set with whom a job is shared."""
        job, shares = owned(await self._jobs.get(command.job_id), command), shares_of(command)
        if not await self._jobs.share(job.id, shares):
            raise _unknown(job.id)
        return Submitted(job=job.model_copy(update={"shares": shares}))

    async def _ask_again(self, job: Job) -> None:
        """Repeat the event of a cancellation: the first one may be stuck in a crash's outbox."""
        if job.status not in TERMINAL:
            await self._outbox.send(outgoing(job.id, CancelRequested(job_id=job.id)))

    async def _check_room(self, command: SubmitJob, job_id: str) -> None:
        full = await self._room.check(command.caller, command.run)
        # Repeating a submission that was accepted is never refused.
        if full is not None and await self._jobs.get(job_id) is None:
            raise Overloaded(full, retry_after_seconds=RETRY_AFTER_SECONDS)

    async def _check_prospects(self, command: SubmitJob, job_id: str) -> None:
        never = await self._prospects.never(command.run)
        if never is not None and await self._jobs.get(job_id) is None:
            raise Unrunnable(never)

    async def _job_id(self, command: SubmitJob) -> str:
        if command.idempotency_key is None:
            return command.job_id
        fingerprint = command.fingerprint or ""
        job_id, bound = await self._jobs.claim_key(
            command.caller,
            command.idempotency_key,
            job_id=command.job_id,
            fingerprint=fingerprint,
            now=self._clock(),
        )
        if bound != fingerprint:
            raise Conflict(
                "this idempotency key was used with another request; use a new key",
                field="Idempotency-Key",
            )
        return job_id

    async def _repeated(self, command: SubmitJob, job_id: str) -> Job:
        job = await self._jobs.get(job_id)
        if job is None or job.owner != command.caller:
            raise _unknown(job_id)
        return job


def _filter(command: ListJobs) -> JobFilter:
    which = JobFilter(command.caller, command.program_id, command.status, command.tag)
    match command.scope:
        case JobScope.ME:
            return which
        case JobScope.SHARED:
            wanted = shared_to(command.caller, command.rights)
            return replace(which, owner=None, not_of=command.caller, shared_with=wanted)
        case JobScope.ALL if command.rights.all:
            return replace(which, owner=None)
        case _:
            raise Forbidden("only administrators list everybody's jobs")


def _unknown(job_id: str) -> NotFound:
    return NotFound(f"there is no job {job_id}, or it is not yours")
