"""Outputs: stored once, read without gaps."""

import pytest

from qrt_contracts.commands import DeleteJob, ReadOutputs
from qrt_contracts.jobs import Job
from qrt_contracts.states import JobState
from qrt_contracts.values import Output, OutputKind
from qrt_scheduler.service import history
from tests.integration.scheduler.conftest import PlayedExecutor, Replica, batch
from tests.support.waiting import wait_until


def numbers(outputs: tuple[Output, ...] | list[Output]) -> list[int]:
    return [each.number for each in outputs]


async def started(replica: Replica, executor: PlayedExecutor) -> Job:
    job = await replica.submit()
    await executor.order(job.id)
    return await replica.job(job.id)


async def stored(replica: Replica, job: Job, count: int) -> None:
    async def there() -> bool:
        return len(await replica.outputs.read(job.id, 1, after=0, limit=10_000)) >= count

    await wait_until(there, description=f"{count} stored outputs")


async def test_outputs_are_read_in_order_however_they_arrived(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await started(replica, executor)
    for part in ((4, 5), (1,), (2, 3), (1,), (4, 5)):
        await executor.bus.publish(batch(job, 1, *part))
    await stored(replica, job, 5)
    page = await replica.bus.request(ReadOutputs(caller="alice", job_id=job.id, attempt=1))
    assert numbers(page.outputs) == [1, 2, 3, 4, 5]
    assert (page.last, page.complete) == (5, False)


async def test_nothing_behind_a_gap_is_read(replica: Replica, executor: PlayedExecutor) -> None:
    job = await started(replica, executor)
    await replica.history.store(batch(job, 1, 1, 2))
    await replica.history.store(batch(job, 1, 5, 6))
    page = await replica.bus.request(ReadOutputs(caller="alice", job_id=job.id, attempt=1))
    assert numbers(page.outputs) == [1, 2]


async def test_a_page_starts_and_ends_within_stored_batches(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await started(replica, executor)
    await replica.history.store(batch(job, 1, *range(1, 11)))
    await replica.history.store(batch(job, 1, *range(11, 21)))
    page = await replica.bus.request(ReadOutputs(caller="alice", job_id=job.id, attempt=1, after=7, limit=6))
    assert numbers(page.outputs) == [8, 9, 10, 11, 12, 13]
    assert page.last == 13


async def test_a_reader_that_knows_of_a_number_waits_until_it_is_stored(
    replica: Replica, executor: PlayedExecutor
) -> None:
    import asyncio

    job = await started(replica, executor)
    command = ReadOutputs(caller="alice", job_id=job.id, attempt=1, reach=2)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(replica.bus.request(command))
        await executor.bus.publish(batch(job, 1, 1, 2))
    assert numbers(reading.result().outputs) == [1, 2]


async def test_the_history_of_an_ended_job_is_complete_even_if_it_is_stored_later(
    replica: Replica, executor: PlayedExecutor
) -> None:
    import asyncio

    job = await started(replica, executor)
    await executor.finish(executor.orders[-1], last_output=3)
    await replica.until(job.id, JobState.SUCCEEDED)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(
            replica.bus.request(ReadOutputs(caller="alice", job_id=job.id, attempt=1))
        )
        await executor.bus.publish(batch(job, 1, 1, 2, 3))
    page = reading.result()
    assert (numbers(page.outputs), page.complete) == ([1, 2, 3], True)


async def test_a_reader_of_an_older_attempt_is_given_the_newest_from_its_start(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await started(replica, executor)
    await replica.history.store(batch(job, 1, 1, 2, 3))
    await executor.lose(replica)

    async def second() -> bool:
        return (await replica.job(job.id)).attempt == 2

    await wait_until(second, description="the second attempt")
    await replica.history.store(batch(job, 2, 1))
    page = await replica.bus.request(ReadOutputs(caller="alice", job_id=job.id, attempt=1, after=3))
    assert (page.attempt, numbers(page.outputs)) == (2, [1])


async def test_one_kind_can_be_read_and_the_page_still_says_where_to_go_on(
    replica: Replica, executor: PlayedExecutor
) -> None:
    job = await started(replica, executor)
    await replica.history.store(batch(job, 1, 1, 2, 3))
    page = await replica.bus.request(
        ReadOutputs(caller="alice", job_id=job.id, attempt=1, kind=OutputKind.INTERIM)
    )
    assert (page.outputs, page.last) == ((), 3)


async def test_the_limit_counts_outputs_of_the_kind_that_is_asked_for(
    replica: Replica, executor: PlayedExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "SCAN_LIMIT", 2)
    job = await started(replica, executor)
    for first in range(1, 12, 3):  # each third is an interim result
        stored = batch(job, 1, first, first + 1, first + 2)
        interim = stored.outputs[2].model_copy(update={"kind": OutputKind.INTERIM, "stream": None})
        await replica.history.store(stored.model_copy(update={"outputs": (*stored.outputs[:2], interim)}))

    async def read(after: int) -> tuple[list[int], int]:
        page = await replica.bus.request(
            ReadOutputs(
                caller="alice", job_id=job.id, attempt=1, after=after, kind=OutputKind.INTERIM, limit=3
            )
        )
        return numbers(page.outputs), page.last

    assert await read(0) == ([3, 6, 9], 9)
    assert await read(9) == ([12], 12)
    assert await read(12) == ([], 12)


async def test_deleting_a_job_deletes_its_outputs(replica: Replica, executor: PlayedExecutor) -> None:
    job = await started(replica, executor)
    await replica.history.store(batch(job, 1, 1))
    await executor.finish(executor.orders[-1], last_output=1)
    await replica.until(job.id, JobState.SUCCEEDED)
    await replica.bus.request(DeleteJob(caller="alice", job_id=job.id))
    assert await replica.outputs.read(job.id, 1, after=0, limit=10) == []
