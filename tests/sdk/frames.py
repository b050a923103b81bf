"""Frames of a job's stream, as the runtime would send them."""

from collections.abc import Iterable
from datetime import UTC, datetime

from qrt_contracts import api
from qrt_contracts.faults import Problem
from qrt_contracts.states import JobState
from qrt_contracts.values import Encoding, Output, OutputKind

JOB = "0" * 32
AT = datetime(2026, 1, 1, tzinfo=UTC)


def interim(number: int, data: str | None = None, encoding: Encoding = Encoding.UTF8) -> Output:
    return Output(
        number=number, kind=OutputKind.INTERIM, at=AT, encoding=encoding, data=data or f"value {number}"
    )


def outputs(numbers: Iterable[int], *, attempt: int = 1) -> str:
    sent = tuple(interim(number) for number in numbers)
    return api.OutputsFrame(job_id=JOB, attempt=attempt, outputs=sent).model_dump_json()


def attempt(number: int) -> str:
    return api.AttemptFrame(job_id=JOB, attempt=number).model_dump_json()


def state(status: JobState = JobState.RUNNING) -> str:
    return api.StateFrame(job_id=JOB, status=status, attempt=1).model_dump_json()


def end(last: int, *, attempt: int = 1, status: JobState = JobState.SUCCEEDED) -> str:
    return api.EndFrame(job_id=JOB, status=status, attempt=attempt, last_output=last).model_dump_json()


def error(code: str, *, retryable: bool) -> str:
    problem = Problem(code=code, title="Title", detail="the detail", retryable=retryable)
    return api.ErrorFrame(problem=problem).model_dump_json()
