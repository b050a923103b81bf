"""Sweeps against the stand-in: one program, many inputs, seen together."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from quafu_runtime import (
    Account,
    AsyncRuntimeService,
    AsyncSweep,
    JobFailed,
    JobStatus,
    RuntimeService,
    Sweep,
    SweepFailed,
    SweepResults,
    errors,
)
from tests.sdk.stand_in import Served
from tests.sdk.test_service import WAITS

pytestmark = pytest.mark.quafu

DIVIDES = "def run(task, userpub, params):\n    return 12 / params\n"
DIVIDES_OR_WAITS = (
    f"{WAITS}\nwaits = run\ndef run(task, userpub, params):\n    return params or waits(task, userpub, 0)\n"
)


@pytest.fixture
def divides(service: RuntimeService) -> str:
    """The id of a program that divides 12 by its input."""
    return service.upload_program(data=DIVIDES, name="divides")


@pytest.fixture
async def asynchronous(account: Account) -> AsyncIterator[AsyncRuntimeService]:
    """An asynchronous service on the stand-in."""
    async with AsyncRuntimeService(account) as open_service:
        yield open_service


def public(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def test_the_asynchronous_sweep_has_every_method_of_the_sweep() -> None:
    assert public(Sweep) == public(AsyncSweep)


def test_results_come_in_the_order_of_the_inputs(service: RuntimeService, divides: str) -> None:
    sweep = service.run_many("divides", [1, 2, 3, 4], seed=7, tags=("mine",))

    assert sweep.results(timeout=20) == [12.0, 6.0, 4.0, 3.0]
    assert sweep.states == [JobStatus.DONE] * 4
    assert sweep.failures == {}
    assert [job.params for job in sweep if job is not None] == [1, 2, 3, 4]
    found = service.jobs(limit=None, tag=sweep.tag)
    assert {job.id for job in found} == {job.id for job in sweep if job is not None}
    assert [job.refresh().seed for job in sweep if job is not None] == [7, 8, 9, 10]
    assert len(service.jobs(tag="mine", program_id=divides)) == 4


def test_failures_are_named_and_the_others_keep_their_results(service: RuntimeService, divides: str) -> None:
    sweep = service.run_many(service.program(divides), [1, 0, "x", 3])

    with pytest.raises(SweepFailed, match=re.escape("2 of 4 jobs have no result")) as caught:
        sweep.results(timeout=20)
    assert list(caught.value.failures) == [1, 2]
    assert "#1: job" in str(caught.value)
    assert "ZeroDivisionError" in str(caught.value)
    mixed = sweep.results(failures=True)
    assert (mixed[0], mixed[3]) == (12.0, 4.0)
    assert isinstance(mixed[1], JobFailed)
    progress = sweep.progress()
    assert (progress.done, progress.failed, progress.ended, progress.finished) == (2, 2, 4, True)


def test_what_cannot_be_submitted_at_all_is_refused_at_once(service: RuntimeService) -> None:
    with pytest.raises(errors.ProgramNotFound):
        service.run_many("nobody", [1, 2])
    with pytest.raises(errors.InvalidRequest, match="concurrency"):
        service.run_many("nobody", [1], concurrency=0)


def test_one_input_that_is_refused_does_not_hold_up_the_others(service: RuntimeService, divides: str) -> None:
    sweep = service.run_many(divides, [1, object(), 2])

    assert sweep[1] is None
    results = sweep.results(timeout=20, failures=True)
    assert (results[0], results[2]) == (12.0, 6.0)
    assert isinstance(results[1], errors.InvalidRequest)
    assert sweep.states[1] is JobStatus.ERROR


def test_a_sweep_of_nothing_is_finished(service: RuntimeService, divides: str) -> None:
    sweep = service.run_many(divides, [])

    assert sweep.results() == []
    assert sweep.progress().finished


def test_jobs_are_told_as_they_end_and_what_is_left_is_cancelled(service: RuntimeService) -> None:
    service.upload_program(data=DIVIDES_OR_WAITS, name="some wait")
    sweep = service.run_many("some wait", [0, 5, 0])
    told = sweep.as_completed(timeout=20)

    index, job = next(told)
    assert (index, job.value()) == (1, 5)
    told.close()
    with pytest.raises(errors.JobTimeout):
        sweep.wait(timeout=0.2)
    assert sweep.progress().running == 2
    assert sweep.cancel().cancelled == 2
    assert sorted(sweep.failures) == [0, 2]


def test_no_more_submissions_are_on_their_way_than_allowed(
    service: RuntimeService, served: Served, divides: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way: list[int] = []
    most = [0]
    send = type(service._client).send

    def counted(client: Any, call: Any) -> Any:
        under_way.append(1)
        most[0] = max(most[0], len(under_way))
        try:
            return send(client, call)
        finally:
            under_way.pop()

    monkeypatch.setattr(type(service._client), "send", counted)
    sweep = service.run_many(divides, [1] * 12, concurrency=3)

    assert len(sweep) == 12
    assert most[0] <= 3


def test_more_jobs_than_are_followed_at_once_are_all_told(
    service: RuntimeService, divides: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quafu_runtime._sweep.FOLLOWED", 2)
    monkeypatch.setattr("quafu_runtime._calls.PAGE", 3)
    sweep = service.run_many(divides, [*range(1, 10)])

    assert sorted(index for index, _ in sweep.as_completed(timeout=20)) == list(range(9))


async def test_the_asynchronous_sweep_does_the_same(asynchronous: AsyncRuntimeService) -> None:
    await asynchronous.upload_program(data=DIVIDES_OR_WAITS, name="some wait")
    sweep = await asynchronous.run_many("some wait", [4, 0, [1], object()])

    index, job = await anext(sweep.as_completed(timeout=20))
    assert await job.value() == [4, None, [1]][index]
    with pytest.raises(errors.JobTimeout):
        await sweep.wait(timeout=0.2)
    progress = await sweep.cancel()
    assert (progress.done, progress.cancelled, progress.failed) == (2, 1, 1)
    results = await sweep.results(failures=True)
    assert (results[0], results[2]) == (4, [1])
    with pytest.raises(SweepFailed):
        await sweep.results()


def test_everything_shows_in_a_notebook_and_nobody_elses_text_is_code(service: RuntimeService) -> None:
    name = "<script>alert('x')"
    program_id = service.upload_program(data=DIVIDES, name=name, description="<b>&")
    job = service.run(program_id, inputs="<i>")
    job.result(timeout=20)
    sweep = service.run_many(program_id, [1, "<u>"])
    results = sweep.results(timeout=20, failures=True)
    service.programs()
    shown = [each._repr_html_() for each in (service, service.program(program_id), job, job.result(), sweep)]
    shown += [results._repr_html_(), SweepResults(["<i>"])._repr_html_()]

    for text in shown:
        assert text.startswith("<table>")
        assert not re.search(r"<(script|b>&|i>|u>)", text)
    assert "&lt;script&gt;" in shown[0]
    assert "ZeroDivision" not in shown[2]
    assert "TypeError" in shown[2]
    assert "testapitoken" not in "".join(shown)


def test_a_job_takes_a_seed_and_tags(service: RuntimeService, divides: str) -> None:
    job = service.run(divides, inputs=1, seed=5, tags=["a", "b"])

    view = job.refresh()
    assert (view.seed, view.tags) == (5, ("a", "b"))
    assert [found.id for found in service.jobs(name="divides", tag="b")] == [job.id]
    with pytest.raises(errors.InvalidRequest, match="seed"):
        service.run(divides, inputs=1, seed=-1)
    with pytest.raises(errors.ProgramNotFound):
        service.jobs(name="nobody")
