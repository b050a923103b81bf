"""From submission to the end, by way of an executor, through the store."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.store import Store
from qrt_contracts.commands import CancelJob, DeleteJob, GetJob, ListJobs, SubmitJob
from qrt_contracts.faults import Conflict, NotFound
from qrt_contracts.ids import new_id
from qrt_contracts.jobs import Job
from qrt_contracts.message import Command
from qrt_contracts.states import JobState
from qrt_contracts.values import Payload
from qrt_scheduler.compose import utc_now
from qrt_scheduler.ports import Outgoing
from tests.integration.scheduler.conftest import PlayedExecutor, Replica
from tests.support.waiting import wait_until
from tests.unit.scheduler.factories import run_spec


async def test_a_job_is_ordered_from_an_executor_and_its_end_is_stored(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit()
    order = await executor.order(job.id)
    assert (order.attempt, order.owner, order.input.text) == (1, "alice", '{"n": 1}')
    assert (await replica.job(job.id)).status is JobState.RUNNING
    await executor.finish(order)
    ended = await replica.until(job.id, JobState.SUCCEEDED)
    assert ended.result == Payload(text='{"answer": 42}')


async def test_what_is_sealed_travels_with_its_job_and_is_gone_with_its_end(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit(confidential="sealed")
    order = await executor.order(job.id)
    assert order.confidential == "sealed"
    await executor.finish(order)
    assert (await replica.until(job.id, JobState.SUCCEEDED)).confidential is None


async def test_an_executor_may_have_dots_in_its_name(replica: Replica) -> None:
    executor = PlayedExecutor(replica.bus, name="node1.example.org")
    await executor.join()
    job = await replica.submit()
    assert (await executor.order(job.id)).executor == "node1.example.org"
    await executor.vanish()


async def test_jobs_wait_for_room_and_start_when_another_ends(
    replica: Replica, executor: PlayedExecutor
) -> None:
    jobs = [await replica.submit() for _ in range(3)]
    orders = [await executor.order(job.id) for job in jobs[:2]]
    assert (await replica.job(jobs[2].id)).status is JobState.QUEUED
    await executor.finish(orders[0])
    await executor.order(jobs[2].id)


class _Stalled:
    """A store that keeps jobs' changes waiting from when on it is told to."""

    def __init__(self, replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        self._update = replica.jobs.update
        self._slow: tuple[str, ...] = ()
        self.waiting: list[str] = []
        self.go = asyncio.Event()
        monkeypatch.setattr(replica.jobs, "update", self._stalling)

    def stall(self, *job_ids: str) -> None:
        self._slow = job_ids

    async def _stalling(self, old: Job, new: Job, outgoing: Outgoing) -> bool:
        if new.id in self._slow:
            self.waiting.append(new.id)
            await self.go.wait()
        return await self._update(old, new, outgoing)


async def test_the_next_one_starts_before_the_end_that_made_room_is_stored(
    replica: Replica, executor: PlayedExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled = _Stalled(replica, monkeypatch)
    jobs = [await replica.submit() for _ in range(4)]
    order = await executor.order(jobs[0].id)
    stalled.stall(jobs[0].id)
    await executor.finish(order)
    await executor.order(jobs[2].id)
    assert stalled.waiting == [jobs[0].id]
    assert (await replica.job(jobs[0].id)).status is JobState.RUNNING
    assert (await replica.job(jobs[3].id)).status is JobState.QUEUED, "one has ended, not two"
    stalled.go.set()
    await replica.until(jobs[0].id, JobState.SUCCEEDED)
    assert len(executor.orders) == 3
    memory = replica.dispatcher._memory
    assert memory
    assert sorted(memory.fleet.executors[executor.name].held) == sorted([jobs[1].id, jobs[2].id])


async def test_a_refusal_makes_no_room(
    replica: Replica, executor: PlayedExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled = _Stalled(replica, monkeypatch)
    jobs = [await replica.submit() for _ in range(3)]
    order = await executor.order(jobs[0].id)
    stalled.stall(jobs[0].id)
    await executor.finish(order, "refused")
    await wait_until(lambda: stalled.waiting, description="the refusal is being stored")
    memory = replica.dispatcher._memory
    assert memory
    assert memory.fleet.room() is None
    stalled.go.set()
    await replica.until(jobs[0].id, JobState.QUEUED)
    assert len(executor.orders) == 2


async def test_a_report_delivered_twice_or_by_a_ghost_changes_nothing(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit()
    order = await executor.order(job.id)
    event = await executor.finish(order)
    ended = await replica.until(job.id, JobState.SUCCEEDED)
    await executor.bus.publish(event)
    await executor.bus.publish(event.model_copy(update={"attempt": 2, "end": "failed"}))
    other = await replica.submit()
    await executor.finish(await executor.order(other.id))
    await replica.until(other.id, JobState.SUCCEEDED)
    assert await replica.job(job.id) == ended


async def test_an_executor_that_is_gone_when_ordered_costs_no_time(
    replica: Replica, executor: PlayedExecutor
) -> None:
    await executor.vanish()
    job = await replica.submit()

    async def lost_once() -> bool:
        return len((await replica.job(job.id)).attempts) >= 1

    await wait_until(lost_once, description="the lost attempt")
    second = PlayedExecutor(executor.bus, name="e2")
    await second.join()
    order = await second.order(job.id)
    assert order.attempt == 2


async def test_an_attempt_that_its_executor_no_longer_lists_is_run_again(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit()
    order = await executor.order(job.id)
    await executor.lose(replica)

    async def again() -> bool:
        return (await executor.order(job.id)).attempt == 2

    await wait_until(again, description="a second attempt")
    await executor.finish(order)  # the ghost of the first
    await executor.finish(await executor.order(job.id), result=Payload(text='"second"'))
    ended = await replica.until(job.id, JobState.SUCCEEDED)
    assert ended.result == Payload(text='"second"')
    assert [each.end for each in ended.attempts] == ["lost", "succeeded"]


async def test_a_restarted_executor_gives_back_what_it_ran_at_its_first_heartbeat(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit()
    await executor.order(job.id)
    await executor.vanish()
    reborn = PlayedExecutor(executor.bus, name=executor.name)
    await reborn.join()
    assert (await reborn.order(job.id)).attempt == 2


async def test_a_job_whose_attempts_are_spent_fails_as_lost(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit(run=run_spec(max_attempts=1))
    await executor.order(job.id)
    await executor.lose(replica)
    ended = await replica.until(job.id, JobState.FAILED)
    assert ended.problem is not None
    assert ended.problem.code == "ExecutorLost"


async def test_a_refused_attempt_is_offered_again(replica: Replica, executor: PlayedExecutor) -> None:
    job = await replica.submit(run=run_spec(max_attempts=1))
    await executor.finish(await executor.order(job.id), "refused")
    await replica.until(job.id, JobState.QUEUED)
    await executor.beat()

    async def offered_again() -> bool:
        return (await executor.order(job.id)).attempt == 2

    await wait_until(offered_again, description="another offer")


async def test_a_queued_job_is_cancelled_at_once_and_never_ordered(replica: Replica) -> None:
    job = await replica.submit()
    cancelled = (await replica.bus.request(CancelJob(caller="alice", job_id=job.id))).job
    assert cancelled.status is JobState.CANCELLED
    assert cancelled.problem is not None
    executor = PlayedExecutor(replica.bus)
    await executor.join()
    other = await replica.submit()
    await executor.order(other.id)
    assert {each.job_id for each in executor.orders} == {other.id}


async def test_a_running_job_is_cancelled_through_its_executor(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit()
    order = await executor.order(job.id)
    asked = (await replica.bus.request(CancelJob(caller="alice", job_id=job.id))).job
    assert (asked.status, asked.cancel_requested) == (JobState.RUNNING, True)
    await wait_until(lambda: bool(executor.cancelled), description="the order to cancel")
    assert (executor.cancelled[0].job_id, executor.cancelled[0].attempt) == (job.id, 1)
    await executor.finish(order, "cancelled")
    await replica.until(job.id, JobState.CANCELLED)


async def test_a_cancellation_that_did_not_arrive_is_repeated_at_the_next_heartbeat(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit()
    await executor.order(job.id)
    await replica.bus.request(CancelJob(caller="alice", job_id=job.id))
    await wait_until(lambda: bool(executor.cancelled), description="the order to cancel")
    await executor.beat()
    await wait_until(lambda: len(executor.cancelled) > 1, description="the order again")


async def test_a_ghost_attempt_is_told_to_end(replica: Replica, executor: PlayedExecutor) -> None:
    executor.running.add((new_id(), 1))
    await executor.beat()
    await wait_until(lambda: bool(executor.cancelled), description="the order to cancel")
    assert (executor.cancelled[0].job_id, executor.cancelled[0].attempt) in executor.running


async def test_a_replica_that_takes_over_knows_what_is_queued_and_running(
    bus: MemoryBus, store: Store, executor: PlayedExecutor, replica: Replica
) -> None:
    running = await replica.submit()
    order = await executor.order(running.id)
    executor.slots = 1
    await executor.beat()
    waiting = await replica.submit()
    replica.dispatcher.forget()
    await executor.finish(order)
    await replica.until(running.id, JobState.SUCCEEDED)
    await executor.beat()
    await executor.finish(await executor.order(waiting.id))
    await replica.until(waiting.id, JobState.SUCCEEDED)
    assert [each.attempt for each in executor.orders] == [1, 1]


async def test_what_a_crash_kept_from_being_published_is_found_in_the_store(
    bus: MemoryBus, store: Store, replica: Replica
) -> None:
    from qrt_scheduler.service.changes import changed
    from qrt_scheduler.service.outbox import outgoing
    from tests.unit.scheduler.factories import queued

    job = queued(new_id())
    news = outgoing(job.id, changed(job))
    assert await replica.jobs.insert(job, news)
    soon = utc_now() + timedelta(seconds=1)
    assert [each.token for each in await replica.jobs.unsent(before=soon, after=soon, limit=10)] == [
        news.token
    ]
    assert await replica.jobs.unsent(before=job.created_at, after=soon, limit=10) == []
    await replica.jobs.sent([news])
    assert await replica.jobs.unsent(before=soon, after=soon, limit=10) == []


async def test_a_later_changes_outbox_is_not_emptied_with_an_earlier_one(replica: Replica) -> None:
    from qrt_scheduler.domain import moves
    from qrt_scheduler.service.changes import changed
    from qrt_scheduler.service.outbox import outgoing
    from tests.unit.scheduler.factories import NOW, queued

    job = queued(new_id())
    first = outgoing(job.id, changed(job))
    await replica.jobs.insert(job, first)
    cancelled = moves.cancel(job, now=NOW)
    second = outgoing(job.id, changed(cancelled))
    assert await replica.jobs.update(job, cancelled, second)
    await replica.jobs.sent([first])
    soon = utc_now() + timedelta(seconds=1)
    left = await replica.jobs.unsent(before=soon, after=soon, limit=10)
    assert [each.token for each in left] == [second.token]


async def test_jobs_that_come_together_are_each_told_whether_they_were_stored(replica: Replica) -> None:
    from qrt_scheduler.service.changes import changed
    from qrt_scheduler.service.outbox import outgoing
    from tests.unit.scheduler.factories import queued

    async def insert(job_id: str) -> bool:
        job = queued(job_id)
        return await replica.jobs.insert(job, outgoing(job_id, changed(job)))

    names = [new_id() for _ in range(5)]
    assert await asyncio.gather(*map(insert, names[:2])) == [True, True]
    assert await asyncio.gather(*map(insert, names)) == [False, False, True, True, True]
    assert all([await replica.jobs.get(each) for each in names])


async def test_an_update_by_a_writer_that_saw_an_older_job_changes_nothing(replica: Replica) -> None:
    from qrt_scheduler.domain import moves
    from qrt_scheduler.service.changes import changed
    from qrt_scheduler.service.outbox import outgoing
    from tests.unit.scheduler.factories import NOW, queued

    job = queued(new_id())
    await replica.jobs.insert(job, outgoing(job.id, changed(job)))
    begun = moves.begin(job, executor="e", incarnation="i", now=NOW)
    assert await replica.jobs.update(job, begun, outgoing(job.id, changed(begun)))
    stale = moves.cancel(job, now=NOW)
    assert not await replica.jobs.update(job, stale, outgoing(job.id, changed(stale)))
    assert await replica.jobs.get(job.id) == begun


async def test_the_same_idempotency_key_gives_the_same_job_or_a_conflict(replica: Replica) -> None:
    first = await replica.submit(idempotency_key="k", fingerprint="f")
    command = SubmitJob(
        caller="alice",
        job_id=new_id(),
        run=run_spec(),
        input=Payload(text="1"),
        idempotency_key="k",
        fingerprint="f",
    )
    again = await replica.bus.request(command)
    assert (again.job.id, again.repeated) == (first.id, True)
    with pytest.raises(Conflict):
        await replica.bus.request(command.model_copy(update={"fingerprint": "g"}))
    other = await replica.submit(owner="bob", idempotency_key="k", fingerprint="z")
    assert other.id != first.id


async def test_a_repeated_submission_makes_one_job(replica: Replica) -> None:
    job = await replica.submit()
    repeated = await replica.bus.request(
        SubmitJob(caller="alice", job_id=job.id, run=run_spec(), input=Payload(text="1"))
    )
    assert repeated.repeated
    assert repeated.job.input == job.input


async def test_a_job_is_its_owners_alone(replica: Replica) -> None:
    job = await replica.submit()
    commands: tuple[Command[Any], ...] = (
        GetJob(caller="bob", job_id=job.id),
        CancelJob(caller="bob", job_id=job.id),
        DeleteJob(caller="bob", job_id=job.id),
    )
    for command in commands:
        with pytest.raises(NotFound):
            await replica.bus.request(command)
    page = await replica.bus.request(ListJobs(caller="bob"))
    assert page.jobs == ()


async def test_only_an_ended_job_can_be_deleted(replica: Replica, executor: PlayedExecutor) -> None:
    job = await replica.submit()
    with pytest.raises(Conflict):
        await replica.bus.request(DeleteJob(caller="alice", job_id=job.id))
    await executor.finish(await executor.order(job.id))
    await replica.until(job.id, JobState.SUCCEEDED)
    await replica.bus.request(DeleteJob(caller="alice", job_id=job.id))
    with pytest.raises(NotFound):
        await replica.job(job.id)


async def test_jobs_are_listed_newest_first_in_pages(replica: Replica) -> None:
    made = [await replica.submit() for _ in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        page = await replica.bus.request(ListJobs(caller="alice", limit=2, cursor=cursor))
        seen += [each.id for each in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [each.id for each in reversed(made)]


async def test_a_repeated_cancellation_is_passed_on_again(replica: Replica, executor: PlayedExecutor) -> None:
    job = await replica.submit()
    await executor.order(job.id)
    for times in (1, 2):
        await replica.bus.request(CancelJob(caller="alice", job_id=job.id))
        await wait_until(lambda: len(executor.cancelled) >= times, description="the order to cancel")  # noqa: B023


async def test_a_key_whose_job_was_deleted_makes_a_new_job(
    replica: Replica, executor: PlayedExecutor
) -> None:
    first = await replica.submit(idempotency_key="k", fingerprint="f")
    await executor.finish(await executor.order(first.id))
    await replica.until(first.id, JobState.SUCCEEDED)
    await replica.bus.request(DeleteJob(caller="alice", job_id=first.id))
    second = await replica.submit(idempotency_key="k", fingerprint="f")
    assert second.id != first.id
