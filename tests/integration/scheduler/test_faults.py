"""Orders that get lost, dispatchers that do not know everything, records that cannot be read."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from qrt_chassis.bus.memory import MemoryBus
from qrt_chassis.store import Store
from qrt_contracts.commands import CancelJob, DeleteJob, ListJobs, ReadOutputs
from qrt_contracts.events import CancelRequested
from qrt_contracts.faults import RuntimeFault, Unavailable
from qrt_contracts.ids import new_id
from qrt_contracts.jobs import AttemptEnd, Job
from qrt_contracts.states import JobState
from qrt_scheduler.compose import utc_now
from qrt_scheduler.domain import moves
from qrt_scheduler.ports import JobHead
from qrt_scheduler.service.changes import changed
from qrt_scheduler.service.outbox import outgoing
from tests.integration.scheduler.conftest import PlayedExecutor, Replica, batch
from tests.support.waiting import wait_until
from tests.unit.scheduler.factories import run_spec


async def begun_elsewhere(replica: Replica, job: Job, executor: PlayedExecutor) -> Job:
    """Start an attempt as another dispatcher would, that crashes before it sends the order."""
    seen = await replica.jobs.get(job.id)
    assert seen
    begun = moves.begin(seen, executor=executor.name, incarnation=executor.incarnation, now=utc_now())
    assert await replica.jobs.update(seen, begun, outgoing(job.id, changed(begun)))
    return begun


async def test_an_order_that_a_crashed_dispatcher_did_not_send_is_sent_and_costs_no_attempt(
    replica: Replica, executor: PlayedExecutor
) -> None:
    executor.slots = 0
    await executor.beat()
    job = await replica.submit(run=run_spec(max_attempts=1))
    await begun_elsewhere(replica, job, executor)
    replica.dispatcher.forget()
    await replica.dispatcher._active()
    replica.seconds = 6
    await executor.beat()
    order = await executor.order(job.id)
    assert order.attempt == 1
    await executor.finish(order)
    await replica.until(job.id, JobState.SUCCEEDED)


async def test_an_attempt_that_another_dispatcher_started_is_adopted_and_not_ended(
    replica: Replica, executor: PlayedExecutor
) -> None:
    executor.slots = 0
    await executor.beat()
    job = await replica.submit()
    await begun_elsewhere(replica, job, executor)
    executor.running.add((job.id, 1))
    await executor.beat()
    memory = replica.dispatcher._memory
    assert memory
    await wait_until(lambda: job.id in memory.fleet.leases, description="the attempt to be adopted")
    assert executor.cancelled == []
    assert len(memory.backlog) == 0
    assert memory.backlog.running["alice"] == 1


async def test_an_executor_that_is_gone_costs_no_attempt(replica: Replica, executor: PlayedExecutor) -> None:
    await executor.vanish()
    job = await replica.submit(run=run_spec(max_attempts=1))

    async def taken_back() -> bool:
        return [each.end for each in (await replica.job(job.id)).attempts] == [AttemptEnd.REFUSED]

    await wait_until(taken_back, description="the attempt to be taken back")
    second = PlayedExecutor(executor.bus, name="e2")
    await second.join()
    await second.finish(await second.order(job.id))
    await replica.until(job.id, JobState.SUCCEEDED)


async def test_what_else_an_executor_runs_is_not_lost_because_one_order_found_no_queue(
    replica: Replica, executor: PlayedExecutor
) -> None:
    first = await replica.submit()
    await executor.order(first.id)
    replica.seconds = 50
    await executor.beat()
    await executor.vanish()
    second = await replica.submit()

    async def taken_back() -> bool:
        return bool((await replica.job(second.id)).attempts)

    await wait_until(taken_back, description="the second attempt to be taken back")
    memory = replica.dispatcher._memory
    assert memory
    await replica.dispatcher.look_round(memory, replica.seconds + 1, stalled=False)
    assert (await replica.job(first.id)).attempts[0].end is None


async def test_an_executor_that_leaves_without_having_taken_an_order_costs_no_attempt(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit(run=run_spec(max_attempts=1))
    await executor.order(job.id)
    executor.running.clear()
    await executor.beat(leaving=True)
    ended = await replica.until(job.id, JobState.QUEUED)
    assert ended.attempts[0].end is AttemptEnd.REFUSED


async def test_a_cancellation_that_comes_while_its_job_is_being_started_reaches_the_executor(
    replica: Replica, executor: PlayedExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = replica.jobs.update
    seen = asyncio.Event()

    async def cancelled_right_after(old: Job, new: Job, news: Any) -> bool:
        done = await stored(old, new, news)
        if new.status is JobState.RUNNING and not new.cancel_requested:
            await replica.bus.request(CancelJob(caller="alice", job_id=new.id))
            await replica.dispatcher.on_cancel(CancelRequested(job_id=new.id))
            seen.set()
        return done

    monkeypatch.setattr(replica.jobs, "update", cancelled_right_after)
    await replica.submit()
    await asyncio.wait_for(seen.wait(), 10)
    await wait_until(lambda: bool(executor.cancelled), description="the order to cancel")


async def test_a_job_given_back_is_told_to_whoever_dispatches_by_then(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit()
    await executor.order(job.id)
    stale = await replica.jobs.get(job.id)
    assert stale
    memory = replica.dispatcher._memory
    assert memory
    memory.agree(job.id, None, 0)  # as a replica knows it that took over a moment too early
    lost = moves.lose(stale, reason="said by another dispatcher", now=utc_now())
    assert await replica.dispatcher._changes.store(stale, lost)

    async def again() -> bool:
        return (await executor.order(job.id)).attempt == 2

    await wait_until(again, description="the second attempt")


async def test_a_connection_lost_during_take_over_leaves_no_memory_behind(
    replica: Replica, executor: PlayedExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = replica.jobs.unfinished

    async def interrupted() -> Any:
        async for head in reading():
            yield head
        replica.dispatcher.forget()

    await replica.submit()
    replica.dispatcher.forget()
    monkeypatch.setattr(replica.jobs, "unfinished", interrupted)
    with pytest.raises(Unavailable):
        await replica.dispatcher._active()
    assert replica.dispatcher._memory is None


async def test_while_the_store_is_away_silence_is_held_against_nobody(
    replica: Replica, executor: PlayedExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await replica.submit()
    await executor.order(job.id)
    memory = replica.dispatcher._memory
    assert memory

    async def away(_: object) -> None:
        raise ConnectionError("no store")

    with monkeypatch.context() as patch:
        patch.setattr(replica.jobs, "save_snapshot", away)
        await replica.dispatcher.look_round(memory, 100, stalled=False)
    await replica.dispatcher.look_round(memory, 101, stalled=False)
    assert (await replica.job(job.id)).attempts[0].end is None


async def test_a_record_that_cannot_be_read_holds_up_nothing_else(
    replica: Replica, executor: PlayedExecutor, store: Store
) -> None:
    broken, running = await replica.submit(owner="bob"), await replica.submit()
    await executor.order(broken.id)
    await executor.order(running.id)
    jobs = store.database("scheduler")["jobs"]
    await jobs.update_one({"_id": broken.id}, {"$set": {"input": "nonsense"}})
    await jobs.insert_one({"_id": new_id(), "status": "QUEUED"})
    await jobs.insert_one({"_id": new_id(), "status": "RUNNING"})
    await jobs.update_one({"_id": running.id}, {"$set": {"owner": "bob"}})
    replica.dispatcher.forget()
    await replica.dispatcher._active()
    await executor.lose(replica)

    async def again() -> bool:
        return any((each.job_id, each.attempt) == (running.id, 2) for each in executor.orders)

    await wait_until(again, description="the readable job's second attempt")
    page = await replica.bus.request(ListJobs(caller="bob"))
    assert [each.id for each in page.jobs] == [running.id]
    with pytest.raises(RuntimeFault):
        await replica.job(broken.id, owner="bob")


async def test_a_start_that_fails_for_an_unknown_reason_is_tried_again_and_stops_no_other(
    replica: Replica, executor: PlayedExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = replica.jobs.update
    failed = asyncio.Event()

    async def fails_once(old: Job, new: Job, news: Any) -> bool:
        if new.owner == "bob" and not failed.is_set():
            failed.set()
            raise ValueError("nobody foresaw this")
        return await stored(old, new, news)

    monkeypatch.setattr(replica.jobs, "update", fails_once)
    unlucky, other = await replica.submit(owner="bob"), await replica.submit()
    await executor.order(other.id)
    await asyncio.wait_for(failed.wait(), 10)
    memory = replica.dispatcher._memory
    assert memory
    await wait_until(lambda: bool(memory.aside), description="the job to be set aside")
    assert memory.backlog.running["bob"] == 0
    await replica.dispatcher.look_round(memory, replica.seconds, stalled=False)
    await executor.order(unlucky.id)


async def test_outputs_of_a_lost_attempt_or_a_deleted_job_are_dropped(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit()
    order = await executor.order(job.id)
    await executor.lose(replica)

    async def second() -> bool:
        return (await replica.job(job.id)).attempt == 2

    await wait_until(second, description="the second attempt")
    await replica.history.store(batch(job, 1, 1))
    assert await replica.outputs.read(job.id, 1, after=0, limit=10) == []
    await executor.finish(order.model_copy(update={"attempt": 2}))
    await replica.until(job.id, JobState.SUCCEEDED)
    await replica.bus.request(DeleteJob(caller="alice", job_id=job.id))
    await replica.history.store(batch(job, 2, 1))
    assert await replica.outputs.read(job.id, 2, after=0, limit=10) == []


async def test_all_stored_outputs_of_a_job_that_was_lost_for_good_can_be_read(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit(run=run_spec(max_attempts=1))
    await executor.order(job.id)
    await replica.history.store(batch(job, 1, *range(1, 6)))
    await executor.lose(replica)
    await replica.until(job.id, JobState.FAILED)
    command = ReadOutputs(caller="alice", job_id=job.id, attempt=1, limit=3)
    first = await replica.bus.request(command)
    assert (first.last, first.complete) == (3, False)
    rest = await replica.bus.request(command.model_copy(update={"after": 3}))
    assert (rest.last, rest.complete) == (5, True)


async def test_an_outbox_from_a_clock_that_was_ahead_is_swept_like_any_other(replica: Replica) -> None:
    from tests.unit.scheduler.factories import queued

    job = queued(new_id(), created_at=utc_now() + timedelta(days=1))
    news = outgoing(job.id, changed(job))
    await replica.jobs.insert(job, news)
    found = await replica.jobs.unsent(before=utc_now(), after=utc_now(), limit=10)
    assert [each.token for each in found] == [news.token]


async def test_a_job_started_while_a_replica_takes_over_is_not_missed(
    bus: MemoryBus, replica: Replica, executor: PlayedExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.slots = 0
    await executor.beat()
    job = await replica.submit()
    reading = replica.jobs.unfinished
    order: list[JobState] = []

    async def started_half_way() -> Any:
        head: JobHead
        async for head in reading():
            order.append(head.status)
            yield head
            if len(order) == 1:
                await begun_elsewhere(replica, job, executor)

    monkeypatch.setattr(replica.jobs, "unfinished", started_half_way)
    replica.dispatcher.forget()
    memory = await replica.dispatcher._active()
    assert order[0] is JobState.QUEUED
    assert job.id in memory.fleet.leases
    assert len(memory.backlog) == 0


async def test_many_readers_that_wait_do_not_keep_commands_from_being_answered(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit()
    await executor.order(job.id)
    command = ReadOutputs(caller="alice", job_id=job.id, attempt=1, reach=5)
    readers = [asyncio.create_task(replica.bus.request(command)) for _ in range(100)]
    done, waiting = await asyncio.wait(readers, timeout=4, return_when=asyncio.FIRST_COMPLETED)
    assert done
    assert await replica.job(job.id)
    await replica.history.store(batch(job, 1, *range(1, 6)))
    answers = [await each for each in readers]
    assert sum(bool(each.outputs) for each in answers) >= 1
    assert len(waiting) < 100


async def test_nobody_waits_for_what_a_lost_attempt_was_heard_to_publish(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await replica.submit(run=run_spec(max_attempts=2))
    await executor.order(job.id)
    executor.slots = 0
    await executor.lose(replica)
    await replica.until(job.id, JobState.QUEUED)
    command = ReadOutputs(caller="alice", job_id=job.id, attempt=1, reach=5)
    page = await replica.bus.request(command, deadline=timedelta(seconds=2))
    assert (page.outputs, page.complete) == ((), False)
