"""The service and its jobs against the stand-in, the blocking way."""

import logging
import threading
from typing import Any

import pytest

from quafu_runtime import Account, InterimResult, Job, JobStatus, LogText, RuntimeService, errors
from tests.sdk.stand_in import TOKEN, Served

pytestmark = pytest.mark.quafu

QUICK = """
def run(task, userpub, params):
    print("printed")
    userpub.publish(b"one")
    userpub.publish({"two": 2})
    return params
"""
WAITS = """
import time
def run(task, userpub, params):
    userpub.publish(b"started")
    while True:
        time.sleep(0.01)
        print("waiting")
"""


@pytest.fixture
def quick(service: RuntimeService) -> str:
    """The id of a program that ends at once."""
    return service.upload_program(data=QUICK, metadata={"name": "quick"})


@pytest.fixture
def waits(service: RuntimeService) -> str:
    """The id of a program that runs until it is cancelled."""
    return service.upload_program(data=WAITS, name="waits")


def test_a_wrong_token_is_refused_by_name(served: Served) -> None:
    with (
        RuntimeService(Account(api_token="wrong", url=served.url)) as service,
        pytest.raises(errors.CheckApiTokenError),
    ):
        service.programs()


# --- programs ---------------------------------------------------------------------------------


def test_programs_are_listed_oldest_first_over_all_pages(
    service: RuntimeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quafu_runtime._calls.PAGE", 2)
    for number in range(5):
        service.upload_program(data=QUICK, name=f"n{number}")

    def names(**how: Any) -> list[str]:
        return [program.name for program in service.programs(refresh=True, **how)]

    assert names(limit=None) == ["n0", "n1", "n2", "n3", "n4"]
    assert names(limit=2, skip=1) == ["n1", "n2"]
    assert names(limit=10, skip=4) == ["n4"]
    assert names(skip=5) == []


def test_the_list_is_remembered_until_something_changes_or_it_is_asked_for(
    service: RuntimeService, served: Served, quick: str
) -> None:
    service.programs()
    service.programs()
    service.list_programs(refresh=False)
    assert served.stand_in.seen.count("GET /v1/programs") == 1

    service.list_programs(refresh=True)
    service.update_program(quick, description="new")
    assert service.programs()[0].description == "new"
    assert served.stand_in.seen.count("GET /v1/programs") == 3


def test_an_empty_listing_says_so(service: RuntimeService, capsys: pytest.CaptureFixture[str]) -> None:
    service.list_programs()
    service.list_programs(skip=3)

    assert capsys.readouterr().out == "No programs\nSKIP IS OUT OF RANGE\nNo programs\n"


def test_a_detailed_listing_tells_more(
    service: RuntimeService, quick: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.list_programs(detailed=True)

    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["-" * 50, f"program_id:{quick}", " -Name: quick", " -Description: None"]
    assert " -is_public: False" in lines
    assert " -version: 1" in lines


def test_a_program_reads_as_attributes_and_as_items(service: RuntimeService, quick: str) -> None:
    program = service.program(quick)

    assert dict(program) == {key: getattr(program, key) for key in program}
    assert program["data"] == QUICK
    assert "nothing" not in program
    with pytest.raises(KeyError):
        program["nothing"]


@pytest.mark.parametrize("missing", [{"name": "nobody"}, {"program_id": "0" * 32}])
def test_an_unknown_program_is_called_that(service: RuntimeService, missing: dict[str, Any]) -> None:
    with pytest.raises(errors.ProgramNotFoundException):
        service.program(**missing)
    with pytest.raises(errors.ProgramNotFoundException):
        service.run(**missing)


def test_an_update_changes_what_was_given_and_prints_the_program(
    service: RuntimeService, quick: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program = service.update_program(quick, data=WAITS, metadata={"description": "d"}, is_public=True)

    assert program is not None
    assert (program.version, program.data, program.description) == (2, WAITS, "d")
    assert program.is_public is True
    assert program.name == "quick"
    assert capsys.readouterr().out == f"After update, the program is:\n{program}\n"


def test_a_program_tells_its_versions(service: RuntimeService, quick: str) -> None:
    for number in range(4):
        service.update_program(quick, data=f"{QUICK}# {number}")

    assert [each.number for each in service.program(quick).versions()] == [5, 4, 3, 2, 1]
    assert service.versions(quick) == service.programs(refresh=True)[0].versions()
    with pytest.raises(errors.ProgramNotFound):
        service.versions("0" * 32)


def test_an_update_of_nothing_only_warns(service: RuntimeService, quick: str) -> None:
    with pytest.warns(UserWarning, match="nothing to change"):
        assert service.update_program(quick) is None


def test_a_deleted_program_is_gone(
    service: RuntimeService, quick: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.delete_program(quick)

    assert capsys.readouterr().out == f"Program {quick} deleted.\n"
    with pytest.raises(errors.ProgramNotFound):
        service.delete_program(quick)


def test_an_upload_needs_a_name(service: RuntimeService) -> None:
    with pytest.raises(errors.ArgsException, match="name is a required metadata field"):
        service.upload_program(data=QUICK)


def test_a_run_needs_a_program_and_takes_its_input_once(service: RuntimeService) -> None:
    with pytest.raises(errors.ArgsException):
        service.run()
    with pytest.raises(errors.ArgsException, match="two names"):
        service.run(name="quick", inputs=1, params=2)


# --- jobs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["inputs", "params"])
def test_what_a_program_gets_has_two_names(
    service: RuntimeService, quick: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {word: [1, "zwei", None]}

    job = service.run(program_id=quick, **given)

    assert job.value(timeout=20) == job.params == [1, "zwei", None]
    printed = capsys.readouterr().out
    assert printed == ("" if word == "inputs" else f"job created, job_id is {job.id}\n")


def test_a_job_knows_what_it_runs(service: RuntimeService, quick: str) -> None:
    job = service.run(quick, inputs=1)

    assert (job.program.id, job.program.name, job.program.version) == (quick, "quick", 1)
    assert job.program_id() == quick
    assert job.id == job.job_id()
    assert service.job(job.id).program_id() == quick


def test_an_unknown_job_is_called_that(service: RuntimeService, account: Account) -> None:
    with pytest.raises(errors.JobNotFoundException):
        service.job("0" * 32)
    with pytest.raises(errors.JobNotFoundException):
        Job("0" * 32, account).status()


def test_jobs_are_listed_newest_first_and_by_status(service: RuntimeService, quick: str, waits: str) -> None:
    done = [service.run(quick, inputs=number) for number in range(3)]
    for job in done:
        job.value(timeout=20)
    running = service.run(waits)

    assert [job.id for job in service.jobs()] == [running.id, *(job.id for job in reversed(done))]
    assert [job.id for job in service.jobs(limit=2, skip=1)] == [done[2].id, done[1].id]
    assert [job.id for job in service.jobs(status=JobStatus.RUNNING)] == [running.id]


def test_a_result_is_not_waited_for_longer_than_asked(service: RuntimeService, waits: str) -> None:
    job = service.run(waits)

    assert job.result(wait=False) == {"result": None, "status": JobStatus.RUNNING}
    with pytest.raises(errors.RuntimeJobTimeoutError) as caught:
        job.result(wait=True, timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.job_id == job.id
    with pytest.raises(errors.JobTimeout):
        job.value(timeout=0)


def test_outputs_are_typed_numbered_and_can_be_gone_on_with(service: RuntimeService, quick: str) -> None:
    job = service.run(quick)

    log, one, two = job.outputs()

    assert isinstance(log, LogText)
    assert (log.number, log.stream, log.text) == (1, "stdout", "printed\n")
    assert isinstance(one, InterimResult)
    assert isinstance(two, InterimResult)
    assert (one.value, two.value) == (b"one", {"two": 2})
    assert [output.number for output in job.outputs(after=one.number, attempt=one.attempt)] == [3]


def test_status_says_how_it_knows(
    service: RuntimeService, account: Account, quick: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job = service.run(quick)
    job.value(timeout=20)
    fresh = Job(job.id, account)
    capsys.readouterr()

    assert fresh.status() is fresh.status() is JobStatus.DONE

    assert capsys.readouterr().out == f"Job status: JobStatus.DONE\nJob {job.id} status: JobStatus.DONE\n"


def test_a_running_job_is_not_deleted_and_a_cancelled_one_is(
    service: RuntimeService, waits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job = service.run(waits, inputs=1)

    assert job.delete() is False
    assert job.cancel() == {"status": JobStatus.CANCELLED}
    assert job.delete() is True

    assert capsys.readouterr().out == (
        f"Job {job.id} status: JobStatus.RUNNING, can't be delete\nJob deleted: True, Error: None\n"
    )
    with pytest.raises(errors.JobNotFound):
        service.job(job.id)


def test_one_argument_is_called_in_the_background(
    service: RuntimeService, quick: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job = service.run(quick)
    got: list[Any] = []
    ended = threading.Event()

    def callback(message: Any) -> None:
        got.append((threading.current_thread() is threading.main_thread(), message))
        if message == job.id.encode():
            ended.set()

    job.interim_results(callback)

    assert ended.wait(20)
    job.interim_result_cancel()  # waits for the thread's last line
    assert got == [(False, b"one"), (False, {"two": 2}), (False, job.id.encode())]
    assert capsys.readouterr().out.splitlines()[-1] == "Interim result streaming finished"


def test_two_arguments_are_called_before_it_returns(service: RuntimeService, quick: str) -> None:
    job = service.run(quick)
    got: list[Any] = []

    job.interim_results(lambda job_id, message: got.append((job_id, message)))

    assert got == [(job.id, message) for message in (b"one", {"two": 2}, job.id.encode())]
    assert job.result(wait=False)["status"] is JobStatus.DONE


def test_a_late_listener_gets_everything_again(service: RuntimeService, quick: str) -> None:
    job = service.run(quick)
    got: list[Any] = []

    for _ in range(2):
        job.interim_results(lambda job_id, message: got.append(message))

    assert len(got) == 6
    assert got[:3] == got[3:]


def test_no_callback_prints(service: RuntimeService, quick: str, capsys: pytest.CaptureFixture[str]) -> None:
    job = service.run(quick)

    job.interim_results()

    assert capsys.readouterr().out.splitlines()[-4:] == [
        *("b'one'", "{'two': 2}", str(job.id.encode()), "Interim result streaming finished")
    ]


def test_cancelling_the_stream_leaves_the_job_alone_and_prints_once(
    service: RuntimeService, waits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job = service.run(waits)
    started = threading.Event()
    job.interim_results(lambda message: started.set())
    assert started.wait(20)

    with pytest.raises(errors.RuntimeInvalidStateError, match="already streaming"):
        job.interim_results(lambda message: None)
    job.interim_result_cancel()

    assert capsys.readouterr().out.count("Interim result streaming finished") == 1
    assert job.status() is JobStatus.RUNNING


def test_cancelling_a_job_ends_its_stream(service: RuntimeService, waits: str) -> None:
    job = service.run(waits)
    ended = threading.Event()
    job.interim_results(lambda message: ended.set() if message == job.id.encode() else None)

    job.cancel()
    job.interim_result_cancel()

    assert job.status() is JobStatus.CANCELLED


def test_a_failing_callback_is_raised_from_a_blocking_call(service: RuntimeService, quick: str) -> None:
    def callback(job_id: str, message: Any) -> None:
        raise ZeroDivisionError(message)

    with pytest.raises(ZeroDivisionError, match="one"):
        service.run(quick).interim_results(callback)


def test_a_failing_callback_in_the_background_is_logged_and_called_again(
    service: RuntimeService, quick: str, caplog: pytest.LogCaptureFixture
) -> None:
    job = service.run(quick)
    ended = threading.Event()

    def callback(message: Any) -> None:
        if message == job.id.encode():
            ended.set()
        raise ZeroDivisionError(message)

    with caplog.at_level(logging.ERROR, logger="quafu_runtime"):
        job.interim_results(callback)
        assert ended.wait(20)
        job.interim_result_cancel()

    failures = [record for record in caplog.records if record.exc_info]
    assert [str(record.exc_info[1]) for record in failures if record.exc_info] == [
        *(str(b"one"), str({"two": 2}), str(job.id.encode()))
    ]


def test_a_job_found_by_its_id_alone_uses_the_account_of_the_environment(
    served: Served, service: RuntimeService, quick: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUAFU_RUNTIME_TOKEN", TOKEN)
    monkeypatch.setenv("QUAFU_RUNTIME_URL", served.url)

    assert Job(service.run(quick, inputs=3).id).value(timeout=20) == 3
