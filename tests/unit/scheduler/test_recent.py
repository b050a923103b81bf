"""Jobs as they were stored last: a guess that is used once."""

from datetime import UTC, datetime

from qrt_contracts.jobs import Job
from qrt_contracts.states import JobState
from qrt_contracts.values import Artifact, Limits, Payload, ProgramKind, RunSpec
from qrt_scheduler.service.recent import LARGEST_BYTES, MOST, Recent


def job(job_id: str, *, status: JobState = JobState.QUEUED, given: str = "{}") -> Job:
    run = RunSpec(
        program_id="p",
        program_name="p",
        version=1,
        kind=ProgramKind.QUAFU,
        bundle=Artifact(sha256="0" * 64, size=1),
        backend=None,
        limits=Limits(),
        max_attempts=3,
    )
    return Job(
        id=job_id,
        owner="alice",
        run=run,
        input=Payload(text=given),
        status=status,
        attempt=0,
        created_at=datetime.now(UTC),
    )


def test_a_job_is_remembered_as_it_was_stored_last_and_told_once() -> None:
    recent = Recent()
    recent.stored(job("a"))
    recent.stored(job("a", status=JobState.RUNNING))
    found = recent.take("a")
    assert found is not None
    assert found.status is JobState.RUNNING
    assert recent.take("a") is None, "whoever found it stale reads it the next time"


def test_ended_and_large_jobs_are_not_kept() -> None:
    recent = Recent()
    recent.stored(job("a"))
    recent.stored(job("a", status=JobState.FAILED))
    recent.stored(job("b", given='"' + "x" * LARGEST_BYTES + '"'))
    assert recent.take("a") is None
    assert recent.take("b") is None


def test_the_oldest_go_when_there_are_too_many() -> None:
    recent, one = Recent(), job("x")
    for number in range(MOST + 1):
        recent.stored(one.model_copy(update={"id": str(number)}))
    assert recent.take("0") is None
    assert recent.take("1") is not None
