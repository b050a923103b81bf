"""Who submits a job and waits for it here: nobody has to be asked."""

import asyncio
from typing import Any

from qrt_contracts.events import JobChanged
from qrt_contracts.jobs import Job
from qrt_contracts.states import JobState
from qrt_contracts.values import Payload
from qrt_gateway.service import fresh
from qrt_gateway.service.fresh import MAX_INPUT_BYTES, Fresh
from tests.support.waiting import wait_until
from tests.unit.gateway.fakes import NOW, FakeScheduler
from tests.unit.gateway.test_programs import upload
from tests.unit.gateway.world import World

JOB = "0" * 32


def queued(job_id: str = JOB, **fields: Any) -> Job:
    return FakeScheduler(None).add(job_id, **fields)  # type: ignore[arg-type]


def news(status: JobState, *, attempt: int = 1, job_id: str = JOB) -> JobChanged:
    return JobChanged(job_id=job_id, status=status, attempt=attempt, owner="alice")


def test_a_job_is_known_from_its_submission_to_its_end() -> None:
    known = Fresh()
    known.submitted(queued())
    assert known.get("alice", JOB) == queued()
    known.changed(news(JobState.RUNNING))
    job = known.get("alice", JOB)
    assert job is not None
    assert (job.status, job.attempt) == (JobState.RUNNING, 1)
    known.changed(news(JobState.SUCCEEDED))
    assert known.get("alice", JOB) is None


def test_an_end_heard_before_the_answer_to_the_submission_is_believed() -> None:
    known = Fresh()
    known.changed(news(JobState.FAILED))
    known.submitted(queued())
    assert known.get("alice", JOB) is None


def test_news_of_an_older_attempt_change_nothing() -> None:
    known = Fresh()
    known.submitted(queued(attempt=2))
    known.changed(news(JobState.RUNNING, attempt=1))
    job = known.get("alice", JOB)
    assert job is not None
    assert job.status is JobState.QUEUED


def test_nobody_else_learns_of_it() -> None:
    known = Fresh()
    known.submitted(queued())
    assert known.get("bob", JOB) is None


def test_after_lost_news_and_for_large_inputs_one_has_to_ask() -> None:
    known = Fresh()
    known.submitted(queued())
    known.forget_all()
    assert known.get("alice", JOB) is None
    known.submitted(queued(input=Payload(text="x" * (MAX_INPUT_BYTES + 1))))
    assert known.get("alice", JOB) is None


def test_the_oldest_is_forgotten_first(monkeypatch: Any) -> None:
    monkeypatch.setattr(fresh, "MAX_JOBS", 2)
    known = Fresh()
    for name in "abc":
        known.submitted(queued(name))
    assert [known.get("alice", name) is not None for name in "abc"] == [False, True, True]


async def test_a_result_waited_for_after_the_submission_needs_no_look_at_the_job(gateway: World) -> None:
    program = await upload(gateway)
    job = (await gateway.http.post("/v1/jobs", json={"program_id": program["id"]})).json()
    waiting = asyncio.create_task(gateway.http.get(f"/v1/jobs/{job['id']}/result", params={"wait": 50}))
    await wait_until(lambda: gateway.live._states, description="the request listens")
    end = news(JobState.SUCCEEDED, job_id=job["id"])
    await gateway.bus.publish(end.model_copy(update={"ended_at": NOW, "result": Payload(text="[7]")}))
    reply = (await waiting).json()
    assert (reply["status"], reply["result"]) == ("SUCCEEDED", [7])
    assert gateway.scheduler.looks == []


async def test_a_wait_that_is_over_is_answered_with_what_the_scheduler_knows(gateway: World) -> None:
    program = await upload(gateway)
    job = (await gateway.http.post("/v1/jobs", json={"program_id": program["id"]})).json()
    await gateway.scheduler.change(job["id"], tell=False, status=JobState.RUNNING, attempt=1)
    reply = await gateway.http.get(f"/v1/jobs/{job['id']}/result", params={"wait": 0.01})
    assert reply.json()["status"] == "RUNNING"
