"""Following many jobs: places, holes, refusals; and over the gateway's own stream."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from qrt_contracts.ids import new_id
from qrt_contracts.states import JobState
from quafu_runtime import (
    Account,
    AsyncRuntimeService,
    JobChange,
    JobEnd,
    JobRefused,
    JobStatus,
    LogText,
    RuntimeService,
    errors,
)
from quafu_runtime._many import ManyState
from tests.integration.gateway.test_streams import serving
from tests.unit.gateway.world import TOKEN, World, world

A, B = "a" * 32, "b" * 32
AT = "2026-01-02T03:04:05Z"


def frame(kind: str, job_id: str | None = A, **fields: Any) -> str:
    return json.dumps({"type": kind, "job_id": job_id, "attempt": 1, **fields})


def outputs(job_id: str, *numbers: int) -> str:
    made = [{"number": n, "kind": "log", "at": AT, "stream": "stdout", "data": str(n)} for n in numbers]
    return frame("outputs", job_id, outputs=made)


def problem(code: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"code": code, "title": code, "detail": "why", "retryable": retryable}


def told(state: ManyState, text: str) -> list[Any]:
    return [each.text if isinstance(each, LogText) else each for each in state.received(text)]


def test_each_job_has_its_own_place_which_a_new_connection_asks_for() -> None:
    state = ManyState([A, B])
    assert told(state, outputs(A, 1, 2)) == ["1", "2"]
    assert told(state, outputs(B, 1)) == ["1"]
    assert told(state, outputs(A, 2, 3)) == ["3"]

    asked = [json.loads(each) for each in state.greetings]
    assert [(each["job_id"], each["attempt"], each["after"]) for each in asked] == [(A, 1, 3), (B, 1, 1)]


def test_a_hole_is_never_passed_over() -> None:
    state = ManyState([A])
    state.received(outputs(A, 1))

    with pytest.raises(errors.StreamBroken):
        state.received(outputs(A, 3))


def test_it_is_done_when_every_job_has_ended_or_was_refused() -> None:
    state = ManyState([A, B])
    end = frame("end", A, status="SUCCEEDED", last_output=0)
    assert told(state, end) == [JobEnd(job_id=A, status=JobStatus.DONE, problem=None)]
    assert not state.done
    (refused,) = told(state, frame("error", B, problem=problem("NotFound")))
    assert isinstance(refused, JobRefused)
    assert refused.problem.code == "NotFound"
    assert state.done


def test_a_passing_error_of_one_job_is_worth_another_connection() -> None:
    state = ManyState([A])

    with pytest.raises(errors.StreamBroken):
        state.received(frame("error", A, problem=problem("Unavailable", retryable=True)))
    assert not state.done


def test_a_state_that_a_new_connection_repeats_is_not_told_again() -> None:
    state = ManyState(all_jobs=True)
    running = frame("state", A, status="RUNNING")
    assert told(state, running) == [JobChange(job_id=A, status=JobStatus.RUNNING, attempt=1)]
    assert told(state, running) == []


def test_frames_of_jobs_that_were_left_are_dropped() -> None:
    state = ManyState([A, B])
    assert json.loads(state.leave(A)) == {"type": "unsubscribe", "job_id": A, "all": False}
    assert told(state, outputs(A, 1)) == []


@pytest.fixture
async def served() -> AsyncIterator[tuple[World, Account]]:
    async with world() as gateway, serving(gateway) as server:
        host, port = server.address
        yield gateway, Account(api_token=TOKEN, url=f"http://{host}:{port}")


async def test_many_jobs_are_followed_over_one_connection(served: tuple[World, Account]) -> None:
    gateway, account = served
    jobs = [new_id() for _ in range(5)]
    for job in jobs:
        gateway.scheduler.add(job, status=JobState.RUNNING, attempt=1)
        await gateway.scheduler.output(job, *(f"{n}" for n in range(3)))
        await gateway.scheduler.end(job)
    async with AsyncRuntimeService(account) as service, service.stream(*jobs[:-1]) as stream:
        await stream.follow(jobs[-1])
        seen = [event async for event in stream]
    for job in jobs:
        own = [event for event in seen if event.job_id == job]
        assert [event.text for event in own if isinstance(event, LogText)] == ["0", "1", "2"]
        assert isinstance(own[-1], JobEnd)


async def test_the_log_is_followed_and_the_job_is_shown(
    served: tuple[World, Account], capsys: pytest.CaptureFixture[str]
) -> None:
    gateway, account = served
    gateway.scheduler.add(A, status=JobState.RUNNING, attempt=1)
    await gateway.scheduler.output(A, "one\n", "two\n")
    await gateway.scheduler.end(A)
    async with AsyncRuntimeService(account) as service:
        job = await service.job(A)
        assert [text async for text in await job.logs(follow=True)] == ["one\n", "two\n"]
        assert await job.watch() is JobStatus.DONE
    assert capsys.readouterr().out == "one\ntwo\nJob status: JobStatus.DONE\n"


def test_a_stream_of_nothing_is_over_at_once() -> None:
    assert list(RuntimeService(Account(api_token="t", url="http://127.0.0.1:9")).stream()) == []
