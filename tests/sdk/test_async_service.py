"""The service and its jobs against the stand-in, the asynchronous way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from quafu_runtime import Account, AsyncRuntimeService, JobStatus, errors
from tests.sdk.test_service import QUICK, WAITS

pytestmark = pytest.mark.quafu


@pytest.fixture
async def service(account: Account) -> AsyncIterator[AsyncRuntimeService]:
    """An asynchronous service on the stand-in."""
    async with AsyncRuntimeService(account) as open_service:
        yield open_service


async def test_a_program_is_uploaded_changed_listed_and_deleted(service: AsyncRuntimeService) -> None:
    first = await service.upload_program(data=QUICK, name="first")
    await service.upload_program(data=QUICK, name="second")
    with pytest.raises(errors.NameTaken):
        await service.upload_program(data=QUICK, name="second")

    changed = await service.update_program(first, data=WAITS, description="d")

    assert changed is not None
    assert (changed.version, changed.description) == (2, "d")
    assert [program.name for program in await service.programs()] == ["first", "second"]
    assert (await service.program(name="first")).data == WAITS
    assert [each.number for each in await changed.versions()] == [2, 1]
    await service.delete_program(first)
    with pytest.raises(errors.ProgramNotFound):
        await service.program(first)
    with pytest.raises(errors.ProgramNotFound):
        await service.program(name="first")


async def test_a_job_runs_to_its_result(service: AsyncRuntimeService) -> None:
    await service.upload_program(data=QUICK, name="quick")

    job = await service.run(name="quick", params={"a": 1})

    assert await job.value(timeout=20) == {"a": 1}
    assert list(await job.result()) == ["finish_time", "result", "status"]
    assert list(await job.result()) == ["result", "finished_time", "status"]
    assert await job.status() is JobStatus.DONE
    assert await job.logs() == "printed\n"
    assert await job.err_msg() == "The job's status is: JobStatus.DONE"
    assert (await job.program()).name == "quick"
    assert [found.id for found in await service.jobs()] == [job.id]
    assert await (await service.job(job.id)).delete() is True


@pytest.mark.parametrize("awaits", [True, False])
async def test_callbacks_of_either_kind_get_every_message(service: AsyncRuntimeService, awaits: bool) -> None:
    await service.upload_program(data=QUICK, name="quick")
    job = await service.run(name="quick")
    got: list[Any] = []

    async def later(message: Any) -> None:
        await asyncio.sleep(0)
        got.append(message)

    await job.interim_results(later if awaits else got.append)

    assert got == [b"one", {"two": 2}, job.id.encode()]


async def test_a_failing_callback_passes_through(service: AsyncRuntimeService) -> None:
    await service.upload_program(data=QUICK, name="quick")
    job = await service.run(name="quick")

    def callback(message: Any) -> None:
        raise ZeroDivisionError(message)

    with pytest.raises(ZeroDivisionError):
        await job.interim_results(callback)


async def test_a_stream_is_cancelled_and_the_job_goes_on_until_it_is(service: AsyncRuntimeService) -> None:
    await service.upload_program(data=WAITS, name="waits")
    job = await service.run(name="waits")
    started = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        group.create_task(job.interim_results(lambda message: started.set()))
        await asyncio.wait_for(started.wait(), 20)
        with pytest.raises(errors.InvalidState):
            await job.interim_results(lambda message: None)
        await job.interim_result_cancel()

    assert await job.status() is JobStatus.RUNNING
    assert await job.delete() is False
    with pytest.raises(errors.JobTimeout):
        await job.value(timeout=0.05)
    assert await job.cancel() == {"status": JobStatus.CANCELLED}
    with pytest.raises(errors.JobCancelled):
        await job.value()


async def test_outputs_are_iterated(service: AsyncRuntimeService) -> None:
    await service.upload_program(data=QUICK, name="quick")
    job = await service.run(name="quick")

    assert [output.number async for output in job.outputs()] == [1, 2, 3]
    assert [output.number async for output in job.outputs(after=2)] == [3]
