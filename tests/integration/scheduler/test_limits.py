"""Backpressure, places in the queue, retention."""

from datetime import timedelta

import pytest

from qrt_contracts.commands import GetJob, SubmitJob
from qrt_contracts.faults import NotFound, Overloaded
from qrt_contracts.ids import new_id
from qrt_contracts.states import JobState
from qrt_contracts.values import Payload, Quota
from qrt_scheduler.compose import utc_now
from qrt_scheduler.service.retention import Retention
from tests.integration.scheduler.conftest import PlayedExecutor, Replica, batch
from tests.unit.scheduler.factories import run_spec


async def test_a_program_whose_queue_is_full_takes_no_more_and_says_when_to_come_back(
    replica: Replica,
) -> None:
    narrow = run_spec(quota=Quota(queued=2))
    for _ in range(2):
        await replica.submit(run=narrow)
    with pytest.raises(Overloaded) as refused:
        await replica.submit(run=narrow)
    assert refused.value.retry_after_seconds
    assert "limit is 2" in refused.value.detail


async def test_repeating_an_accepted_submission_is_never_refused(replica: Replica) -> None:
    command = SubmitJob(
        caller="alice",
        job_id=new_id(),
        run=run_spec(quota=Quota(queued=1)),
        input=Payload(text="1"),
        idempotency_key="k",
    )
    first = await replica.bus.request(command)
    again = await replica.bus.request(command.model_copy(update={"job_id": new_id()}))
    assert (again.repeated, again.job.id) == (True, first.job.id)


async def test_a_queued_job_is_told_its_place_and_a_running_one_has_none(
    replica: Replica, executor: PlayedExecutor
) -> None:
    jobs = [await replica.submit() for _ in range(4)]
    for job in jobs[:2]:
        await executor.order(job.id)
    memory = replica.dispatcher._memory
    assert memory is not None
    await replica.dispatcher.save_snapshot(memory)
    last = await replica.bus.request(GetJob(caller="alice", job_id=jobs[3].id, place=True))
    assert last.place is not None
    assert last.place.position == 2
    assert (await replica.bus.request(GetJob(caller="alice", job_id=jobs[0].id, place=True))).place is None
    not_asked = await replica.bus.request(GetJob(caller="alice", job_id=jobs[3].id))
    assert not_asked.place is None


async def test_only_jobs_that_ended_long_enough_ago_are_forgotten(
    replica: Replica, executor: PlayedExecutor
) -> None:
    ended, running = await replica.submit(), await replica.submit()
    await replica.history.store(batch(ended, 1, 1))
    await executor.finish(await executor.order(ended.id), last_output=1)
    await replica.until(ended.id, JobState.SUCCEEDED)
    long_ago = Retention(jobs=replica.jobs, outputs=replica.outputs, keep=timedelta(days=1), clock=utc_now)
    assert await long_ago.sweep() == 0
    now = Retention(
        jobs=replica.jobs,
        outputs=replica.outputs,
        keep=timedelta(0),
        clock=lambda: utc_now() + timedelta(seconds=1),
    )
    assert await now.sweep() == 1
    with pytest.raises(NotFound):
        await replica.job(ended.id)
    assert await replica.outputs.read(ended.id, 1, after=0, limit=10) == []
    assert (await replica.job(running.id)).status is JobState.RUNNING
