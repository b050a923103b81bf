"""Callbacks, results and uploads as values, without a runtime."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from qrt_contracts.api import ResultView
from qrt_contracts.faults import Problem
from qrt_contracts.states import JobState
from qrt_contracts.values import Encoding, Visibility
from quafu_runtime import InterimResult, JobStatus, ResultDecoder, errors
from quafu_runtime._callbacks import listener
from quafu_runtime._outputs import typed
from quafu_runtime._program import program_fields, read_source
from quafu_runtime._record import JobRecord
from quafu_runtime._waiting import Waiting
from tests.sdk import frames

ENDED = datetime(2023, 5, 1, 19, 20, 51, tzinfo=UTC)


def published(data: str, encoding: Encoding) -> InterimResult:
    output = typed(frames.interim(1, data, encoding), job_id=frames.JOB, attempt=1)
    assert isinstance(output, InterimResult)
    return output


class Hex(ResultDecoder):
    """Decodes as the user wishes."""

    @classmethod
    def decode(cls, data: bytes) -> Any:
        return data.hex()


@pytest.mark.parametrize(
    ("data", "encoding", "value", "older", "newer"),
    [
        ("publish from job 10", Encoding.UTF8, b"publish from job 10", b"publish from job 10", None),
        ("plain", Encoding.TEXT, "plain", b"plain", None),
        ("gP8=", Encoding.BASE64, b"\x80\xff", b"\x80\xff", None),
        ('{"e": -1}', Encoding.UTF8, b'{"e": -1}', b'{"e": -1}', {"e": -1}),
        ('{"e": -1}', Encoding.JSON, {"e": -1}, {"e": -1}, {"e": -1}),
    ],
)
def test_a_message_reaches_either_generation_of_callback(
    data: str, encoding: Encoding, value: Any, older: Any, newer: Any
) -> None:
    got: list[Any] = []
    result = published(data, encoding)

    listener(lambda job_id, message: got.append((job_id, message)), None).call(result)
    listener(lambda message: got.append(message), None).call(result)
    listener(got.append, Hex).call(result)

    assert result.value == value
    assert got == [(frames.JOB, older), older if newer is None else newer, result.raw.hex()]


def test_the_end_is_the_jobs_id_as_bytes_whatever_the_decoder() -> None:
    got: list[Any] = []

    listener(got.append, Hex).finish("12")
    listener(lambda job_id, message: got.append((job_id, message)), None).finish("12")

    assert got == [b"12", ("12", b"12")]


@pytest.mark.parametrize(
    ("callback", "with_job_id"),
    [
        (lambda a, b: None, True),
        (lambda a, b, c=1: None, True),
        (lambda a: None, False),
        (lambda a, b=1: None, False),
        (lambda *a: None, False),
        (print, False),
        ([].append, False),
    ],
)
def test_the_number_of_arguments_a_callback_needs_decides(callback: Any, with_job_id: bool) -> None:
    assert listener(callback, None).with_job_id is with_job_id


@pytest.mark.parametrize("callback", [lambda: None, lambda a, b, c: None, lambda a, *, b: None])
def test_a_callback_that_cannot_be_called_is_refused_at_once(callback: Any) -> None:
    with pytest.raises(errors.ArgsException):
        listener(callback, None)


def record(status: JobState, **more: Any) -> JobRecord:
    found = JobRecord(frames.JOB)
    found.learn_result(ResultView(job_id=frames.JOB, status=status, **more))
    return found


def test_a_result_is_told_in_two_ways_the_first_time_and_later() -> None:
    done = record(JobState.SUCCEEDED, result={"result": {"TestParam1": "xxxxxx"}}, ended_at=ENDED)

    first, second, third = done.told(), done.told(), done.told()

    assert str(first) == (
        "{'finish_time': 'Mon, 01 May 2023 19:20:51 GMT', "
        """'result': '{"result": {"TestParam1": "xxxxxx"}}', 'status': <JobStatus.DONE: 'Done'>}"""
    )
    assert str(second) == (
        """{'result': '{"result": {"TestParam1": "xxxxxx"}}', """
        "'finished_time': 'Mon, 01 May 2023 19:20:51 GMT', 'status': <JobStatus.DONE: 'Done'>}"
    )
    assert third == second


def test_a_job_that_goes_on_has_no_result_and_is_not_remembered() -> None:
    running = record(JobState.RUNNING)

    assert running.told() == {"result": None, "status": JobStatus.RUNNING}
    running.learn_result(ResultView(job_id=frames.JOB, status=JobState.SUCCEEDED, result=1, ended_at=ENDED))
    assert list(running.told()) == ["finish_time", "result", "status"]


def test_a_program_that_returned_nothing_has_the_result_null() -> None:
    assert record(JobState.SUCCEEDED, result=None, ended_at=ENDED).told()["result"] == "null"


def test_a_failed_job_tells_its_error_in_place_of_a_result() -> None:
    problem = Problem(
        code="ProgramError", title="The title", detail="ValueError: no", traceback="the lines\n"
    )
    failed = record(JobState.FAILED, problem=problem)

    assert failed.told() == failed.told() == {"status": JobStatus.ERROR, "error_msg": "ValueError: no"}
    assert failed.told_error() == "ValueError: no"
    with pytest.raises(errors.JobFailed, match="The title: ValueError: no") as caught:
        failed.value()
    assert caught.value.code == "ProgramError"
    assert caught.value.traceback == "the lines\n"
    assert caught.value.__notes__ == ["the lines"]


def test_a_cancelled_job_is_its_own_error() -> None:
    cancelled = record(JobState.CANCELLED)

    assert cancelled.told() == {"result": None, "status": JobStatus.CANCELLED}
    assert cancelled.told_error() == "The job's status is: JobStatus.CANCELLED"
    with pytest.raises(errors.JobCancelled):
        cancelled.value()


def test_a_final_status_never_changes() -> None:
    done = record(JobState.SUCCEEDED, result=1)
    done.learn_result(ResultView(job_id=frames.JOB, status=JobState.RUNNING))

    assert done.status is JobStatus.DONE


def test_a_wait_is_asked_in_pieces_that_end_with_the_time() -> None:
    waiting = Waiting(60, now=0)

    assert waiting.ask(now=0) == 55
    assert waiting.ask(now=55) == 5
    assert waiting.ask(now=60) is None


def test_a_wait_of_no_time_asks_once() -> None:
    waiting = Waiting(0, now=0)

    assert waiting.ask(now=0) == 0
    assert waiting.ask(now=0) is None


def test_a_wait_without_end_rests_only_after_answers_that_came_at_once() -> None:
    waiting = Waiting(None, now=0)

    assert waiting.ask(now=1000) == 55
    assert waiting.rest(now=1000.01) > 0
    assert waiting.rest(now=1055) == 0


def test_source_is_text_or_a_path(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text("def run(task, userpub, params): 'é'\n", encoding="utf-8")

    assert read_source("def run(task, userpub, params): 'é'") == "def run(task, userpub, params): 'é'"
    assert read_source("x = 1\n") == "x = 1\n"
    assert read_source(str(file)) == read_source(file) == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("data", ["program/missing.py", "", "x" * 5000, "nul\0"])
def test_what_is_neither_source_nor_a_readable_file_is_refused(data: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="neither"):
        read_source(data)


def test_arguments_win_over_metadata() -> None:
    fields = program_fields({"name": "a", "cost": 1, "is_public": 1}, name="b", is_public=False, cost=None)

    assert fields == {"name": "b", "cost": 1, "visibility": Visibility.PRIVATE}


@pytest.mark.parametrize(
    ("is_public", "expected"),
    [(True, Visibility.PUBLIC), (1, Visibility.PUBLIC), (0, Visibility.PRIVATE), (2, Visibility.PRIVATE)],
)
def test_every_clients_word_for_public_is_understood(is_public: int, expected: Visibility) -> None:
    assert program_fields({"is_public": is_public}) == {"visibility": expected}


def test_the_execution_time_is_a_limit_beside_the_others() -> None:
    fields = program_fields({"max_execution_time": 5}, limits={"processes": 2})

    assert fields == {"limits": {"processes": 2, "wall_seconds": 5}}


@pytest.mark.parametrize("metadata", [{"nmae": "typo"}, {"is_public": "yes"}, {"is_public": 3}])
def test_metadata_nobody_reads_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequest):
        program_fields(metadata)
