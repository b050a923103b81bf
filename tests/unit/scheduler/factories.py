"""Jobs and events for tests, with everything that does not matter filled in."""

from datetime import UTC, datetime, timedelta
from typing import Any

from qrt_contracts.events import AttemptFinished, Heartbeat, RunningAttempt
from qrt_contracts.jobs import Job
from qrt_contracts.states import JobState
from qrt_contracts.values import Artifact, Isolation, Limits, Payload, ProgramKind, RunSpec

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(seconds=7)


def run_spec(**changes: Any) -> RunSpec:
    return RunSpec(
        program_id="0" * 31 + "1",
        program_name="hello",
        version=1,
        kind=ProgramKind.QUAFU,
        bundle=Artifact(sha256="a" * 64, size=10),
        backend=None,
        limits=Limits(),
        max_attempts=3,
    ).model_copy(update=changes)


def queued(job_id: str = "j1", *, max_attempts: int = 3, **changes: Any) -> Job:
    return Job(
        id=job_id,
        owner="alice",
        run=run_spec(max_attempts=max_attempts),
        input=Payload(text="null"),
        status=JobState.QUEUED,
        attempt=0,
        created_at=NOW,
    ).model_copy(update=changes)


def finished(job: Job, end: str = "succeeded", **changes: Any) -> AttemptFinished:
    newest = job.attempts[-1]
    return AttemptFinished(
        job_id=job.id,
        attempt=newest.number,
        executor=newest.executor,
        incarnation=newest.incarnation,
        end=end,
        result=Payload(text="1") if end == "succeeded" else None,
        last_output=4,
        started_at=NOW,
        ended_at=LATER,
    ).model_copy(update=changes)


def beat(
    executor: str = "e1", incarnation: str = "i1", *running: tuple[str, int], **changes: Any
) -> Heartbeat:
    return Heartbeat(
        executor=executor,
        incarnation=incarnation,
        slots=2,
        running=tuple(RunningAttempt(job_id=job, attempt=attempt) for job, attempt in running),
        isolation=Isolation.PROCESS,
    ).model_copy(update=changes)
