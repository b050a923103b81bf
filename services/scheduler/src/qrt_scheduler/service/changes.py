"""Changes of jobs, each stored together with the events it must bring about."""

from qrt_contracts.events import Event, JobChanged, JobEnded, JobSubmitted
from qrt_contracts.jobs import AttemptEnd, Job, JobSummary
from qrt_contracts.states import TERMINAL, JobState
from qrt_scheduler import metrics
from qrt_scheduler.ports import JobStore
from qrt_scheduler.service.outbox import Outbox, outgoing
from qrt_scheduler.service.recent import Recent
from qrt_scheduler.service.trusted import Trusted


def submitted(job: Job) -> JobSubmitted:
    """Return the event that tells the dispatcher of a queued job."""
    return JobSubmitted(
        job_id=job.id,
        owner=job.owner,
        program_id=job.run.program_id,
        priority=job.priority,
        max_running=job.run.quota.running,
        kind=job.run.kind,
        resources=job.run.resources,
        environment=job.environment_key,
    )


TOLD_BYTES = 4096
"""A result up to this size travels with the news of its job's end."""


def changed(job: Job) -> JobChanged:
    """Return the event that tells where a job stands."""
    return JobChanged(
        job_id=job.id,
        status=job.status,
        attempt=job.attempt,
        last_output=job.last_output,
        problem=job.problem,
        owner=job.owner,
        started_at=job.started_at,
        ended_at=job.ended_at,
        result=job.result if job.result and job.result.size <= TOLD_BYTES else None,
    )


def news_of(job: Job) -> tuple[Event, ...]:
    """Return what a change of state brings about, wherever the job is now."""
    if job.status is JobState.QUEUED:
        # Whoever dispatches by then: it may not be the replica that gave the attempt up.
        return changed(job), submitted(job)
    if job.status in TERMINAL:
        return changed(job), JobEnded(job=JobSummary.of(job))
    return (changed(job),)


class Changes:
    """Stores the dispatcher's changes of jobs."""

    def __init__(self, *, jobs: JobStore, outbox: Outbox, recent: Recent, trusted: Trusted) -> None:
        self._jobs = jobs
        self._recent = recent
        self._trusted = trusted
        self._outbox = outbox

    async def store(self, job: Job, new: Job) -> bool:
        """Store a change; False if the job has moved on meanwhile."""
        news = outgoing(job.id, *news_of(new))
        if not await self._jobs.update(job, new, news):
            return False
        self._recent.stored(new)
        if new.status is JobState.RUNNING:
            self._trusted.note(new.id, new.attempt)
        else:  # it may be deleted once it has ended: outputs that come late have to be asked for
            self._trusted.forget(new.id, new.attempt)
        if new.newest and new.newest.end is AttemptEnd.LOST:
            metrics.LOST.inc()
        if new.status in TERMINAL:
            metrics.ENDED.labels(status=new.status.value).inc()
        await self._outbox.send(news)
        return True
