"""The published Quafu Runtime notebook, cell by cell, against any composition.

The cells keep the notebook's own statements. Between them stand assertions on what each returned;
`assert_printed` then compares everything printed with what the notebook shows.
"""

import contextlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clients.account import Account
from job.job import Job
from quafu_runtime import JobStatus, errors
from quafu_runtime_service import RuntimeService

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

FOR_WHILE = """
def run(backend, userpub, params):
    while True:
        pass
"""

RAISE_EXCEPTION = """
def run(backend, userpub, params):
    print("before the exception")
    raise ValueError("raised on purpose")
"""

TOKEN = "testapitoken"


@dataclass
class Notebook:
    """One run of the notebook: what the cells share."""

    url: str
    workdir: Path
    ids: dict[str, str] = field(default_factory=dict)
    service: Any = None
    job1: Any = None

    def cell_1_service(self) -> None:
        """Create the service."""
        account = Account(apitoken=TOKEN, url=self.url)
        self.service = RuntimeService(account)

    def cell_2_upload(self) -> None:
        """Upload programs from paths and from source text; a second of the same name is refused."""
        hello = self.workdir / "program" / "hello.py"
        hello.parent.mkdir(parents=True)
        hello.write_text((EXAMPLES / "hello.py").read_text(encoding="utf-8"), encoding="utf-8")
        service = self.service
        uploads: list[tuple[str, str]] = [
            ("for-while", FOR_WHILE),
            ("long-run-task", str(EXAMPLES / "long_run_task.py")),
            ("raise-exception", RAISE_EXCEPTION),
            ("hello", str(hello)),
        ]
        for name, data in uploads:
            metadata = {"name": name, "backend": "testbackend"}
            self.ids[name] = service.upload_program(data=data, metadata=metadata)
            print(self.ids[name])
            assert re.fullmatch("[0-9a-f]{32}", self.ids[name])
        with pytest.raises(errors.DuplicateProgramException):
            service.upload_program(data=str(hello), metadata={"name": "hello", "backend": "testbackend"})

    def cell_3_programs(self) -> None:
        """List the programs, and read one by item and by attribute."""
        service = self.service
        service.list_programs(refresh=True, detailed=False, limit=20)
        program = service.program(name="hello")
        print(program["program_id"])
        print(program["data"])
        assert program["program_id"] == program.program_id == self.ids["hello"]
        assert program["data"] == program.data == (EXAMPLES / "hello.py").read_text(encoding="utf-8")
        assert program.name == program["name"] == "hello"
        assert program.backend == "testbackend"
        assert program.is_public is False
        assert program.description is None
        assert program.group is None
        assert program.owner

    def cell_4_run(self) -> None:
        """Run a program by name."""
        self.job1 = self.service.run(name="long-run-task", inputs={"TestParam1": "xxxxxx"})
        assert isinstance(self.job1, Job)

    def cell_5_interim_results(self) -> None:
        """Stream interim results to a callback until the job has ended."""
        job1 = self.job1

        def callback(job_id: str, message: bytes) -> None:
            assert job_id == job1.job_id()
            print(message)

        job1.interim_results(callback=callback)

    def cell_6_result(self) -> None:
        """Read the result twice: fetched, then remembered."""
        job1 = self.job1
        result = job1.result(wait=False)
        print(result)
        assert list(result) == ["finish_time", "result", "status"]
        assert json.loads(result["result"]) == {"result": {"TestParam1": "xxxxxx"}}
        result = job1.result(wait=True)
        print(result)
        assert list(result) == ["result", "finished_time", "status"]
        assert result["status"] is JobStatus.DONE

    def cell_7_interim_result_cancel(self) -> None:
        """Stop streaming, although it has stopped."""
        self.job1.interim_result_cancel()

    def cell_8_cancel(self) -> None:
        """Cancel a job that has ended: it stays as it is."""
        assert self.job1.cancel() == {"status": JobStatus.DONE}

    def cell_9_about_the_job(self) -> None:
        """Read logs, status and error, with an object that has not seen the job before."""
        job1 = Job(self.job1.job_id(), Account(apitoken=TOKEN, url=self.url))
        logs = job1.logs()
        status = job1.status()
        err_msg = job1.err_msg()
        print(logs, status, err_msg)

    def cell_10_beyond(self) -> None:
        """Do what the notebook only mentions: cancel and delete a running job, read an error."""
        endless = self.service.run(name="for-while", inputs={})
        assert endless.delete() is False
        assert endless.cancel() == {"status": JobStatus.CANCELLED}
        assert endless.delete() is True
        failing = self.service.run(program_id=self.ids["raise-exception"], inputs={})
        outcome = failing.result(wait=True, timeout=120)
        assert outcome["status"] is JobStatus.ERROR
        assert "raised on purpose" in outcome["error_msg"]
        assert failing.err_msg() == outcome["error_msg"]
        assert "before the exception" in failing.logs()
        with pytest.raises(errors.JobFailed) as caught:
            failing.value()
        assert "raise ValueError" in (caught.value.traceback or "")

    def cell_11_newer_client(self) -> None:
        """Say the same in the words of the newer client."""
        service = RuntimeService(Account(api_token=TOKEN, url=self.url))
        job = service.run(name="long-run-task", params={"TestParam1": "xxxxxx", "pause": 0})
        messages: list[Any] = []
        job.interim_results(callback=lambda message: messages.append(message), wait=True)
        expected = [f"publish from job {n}".encode() for n in range(10, 0, -1)]
        assert messages == [*expected, job.job_id().encode()]
        assert job.result(wait=True)["status"] is JobStatus.DONE

    def cell_12_hello(self) -> None:
        """Run the notebook's circuit, whose program reads what pyquafu has since dropped."""
        job = self.service.run(name="hello", inputs={"shots": 1})
        value = job.value(timeout=300)
        assert value["num"] == 4, f"four qubits are measured, not {value['num']}"
        assert len(value["probabilities"]) == 16
        assert sum(value["probabilities"]) == pytest.approx(1)
        assert job.logs().startswith("Hello World! {'shots': 1}")

    def cells(self, *, simulator: bool) -> list[Callable[[], None]]:
        """Return the cells in order."""
        shown = [
            *(self.cell_1_service, self.cell_2_upload, self.cell_3_programs, self.cell_4_run),
            *(self.cell_5_interim_results, self.cell_6_result, self.cell_7_interim_result_cancel),
            *(self.cell_8_cancel, self.cell_9_about_the_job, self.cell_10_beyond, self.cell_11_newer_client),
        ]
        return [*shown, self.cell_12_hello] if simulator else shown


def run_notebook(url: str, workdir: Path, *, simulator: bool = True) -> str:
    """Run every cell against a runtime whose account of the token `testapitoken` has no programs yet.

    Args:
        url: the gateway's address.
        workdir: an empty directory for the notebook's files.
        simulator: run the circuit too; False where programs cannot import quafu.

    Returns:
        What was printed.
    """
    notebook = Notebook(url, workdir)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in notebook.cells(simulator=simulator):
            cell()
    return printed.getvalue()


def assert_printed(printed: str) -> None:
    """Check everything that `run_notebook` returned against what the notebook shows."""
    hello = (EXAMPLES / "hello.py").read_text(encoding="utf-8")
    ids = re.findall(r"^program_id:([0-9a-f]{32})$", printed, flags=re.MULTILINE)
    names = re.findall(r"^ -Name: (.*)$", printed, flags=re.MULTILINE)
    assert names == ["for-while", "long-run-task", "raise-exception", "hello"]
    job_id = _one(r"for job %s ([0-9a-f]{32})$", printed)
    finished = _one(r"'finish_time': '(\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT)'", printed)
    done = "<JobStatus.DONE: 'Done'>"
    result = """'{"result": {"TestParam1": "xxxxxx"}}'"""
    expected = [
        *ids,
        *(line for pair in zip(ids, names, strict=True) for line in _listed(*pair)),
        ids[3],
        *hello.splitlines(),
        "",
        f"Start interim result streaming for job %s {job_id}",
        *(f"b'publish from job {n}'" for n in range(10, 0, -1)),
        f"b'{job_id}'",
        "Interim result streaming finished",
        f"{{'finish_time': '{finished}', 'result': {result}, 'status': {done}}}",
        f"{{'result': {result}, 'finished_time': '{finished}', 'status': {done}}}",
        "Interim result streaming finished",
        "Job status: JobStatus.DONE",
        f"Job {job_id} status: JobStatus.DONE",
        "Hello World! {'TestParam1': 'xxxxxx'}",
        *["Sleep 10..."] * 10,
        " JobStatus.DONE The job's status is: JobStatus.DONE",
    ]
    lines = printed.splitlines()
    assert lines[: len(expected)] == expected
    _assert_beyond(lines[len(expected) :])


def _assert_beyond(lines: list[str]) -> None:
    assert re.fullmatch(r"Job \w{32} status: JobStatus\.(QUEUED|RUNNING), can't be delete", lines[0])
    assert lines[1] == "Job deleted: True, Error: None"
    assert lines[2] == "Job status: JobStatus.ERROR"
    created = re.fullmatch(r"job created, job_id is (\w{32})", lines[3])
    assert created
    assert lines[4] == f"Start websocket client for job  {created[1]}"
    assert lines[5] == f"Start interim result streaming for job {created[1]}"
    assert lines[6] == "Interim result streaming finished"
    assert lines[7:] in ([], ["Job status: JobStatus.DONE"])


def _one(pattern: str, text: str) -> str:
    found = re.findall(pattern, text, flags=re.MULTILINE)
    assert len(found) == 1, f"{pattern} is printed {len(found)} times"
    return str(found[0])


def _listed(program_id: str, name: str) -> list[str]:
    return ["-" * 50, f"program_id:{program_id}", f" -Name: {name}", " -Description: None"]
