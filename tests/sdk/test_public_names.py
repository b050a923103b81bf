"""What the library shows: its names, its errors, its twins."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import quafu_runtime
from qrt_contracts.faults import FAULTS
from quafu_runtime import AsyncJob, AsyncRuntimeService, Job, JobStatus, RuntimeService, errors

pytestmark = pytest.mark.quafu

DISTRIBUTION = Path(quafu_runtime.__file__).parent


def public(cls: type) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


def test_all_lists_what_the_package_imports_for_its_users() -> None:
    private_modules = {path.stem for path in DISTRIBUTION.glob("_*.py")}
    found = {name for name in vars(quafu_runtime) if not name.startswith("__")} - private_modules

    assert found == set(quafu_runtime.__all__)


def test_every_fault_of_the_runtime_has_its_own_error() -> None:
    assert set(errors.REFUSALS) == set(FAULTS)
    for code, cls in errors.REFUSALS.items():
        fault_parents = {parent.code for parent in FAULTS[code].__mro__ if hasattr(parent, "code")}
        error_parents = {parent.code for parent in cls.__mro__ if hasattr(parent, "code")}
        assert error_parents == fault_parents, f"{code} stands elsewhere in the tree"


@pytest.mark.parametrize(
    "name",
    [
        *("ClientExceptions", "UserException", "ArgsException", "RequestException"),
        *("DuplicateProgramException", "NotAuthorizedException", "UploadException", "UpdateException"),
        *("ProgramNotFoundException", "RunFailedException", "InputValueException"),
        *("ProgramNotValidException", "JobNotFoundException", "WebsocketError"),
        *("RuntimeJobTimeoutError", "RuntimeInvalidStateError", "CheckApiTokenError"),
    ],
)
def test_errors_answer_to_their_earlier_names(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.QuafuRuntimeError)


def test_the_tree_in_the_docstring_names_every_error() -> None:
    classes = [
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value)
        and issubclass(value, errors.QuafuRuntimeError)
        and value.__module__ == errors.__name__
    ]

    assert [name for name in classes if name not in (errors.__doc__ or "")] == []


def test_the_async_job_has_every_method_of_the_job() -> None:
    assert public(Job) - public(AsyncJob) == {
        "job_id",
        "program_id",
    }  # properties `id` and `program().id` serve
    assert public(AsyncJob) - public(Job) == set()


def test_the_async_service_has_every_method_of_the_service_but_those_that_print() -> None:
    assert public(RuntimeService) - public(AsyncRuntimeService) == {"list_programs", "close"}
    assert public(AsyncRuntimeService) - public(RuntimeService) == {"aclose"}


def test_job_status_shows_as_the_notebook_shows_it() -> None:
    assert repr(JobStatus.DONE) == "<JobStatus.DONE: 'Done'>"
    assert [status.value for status in JobStatus] == [
        *("In queue", "Actively running", "Done", "Cancelled", "Error")
    ]
    assert {status for status in JobStatus if status.final} == {
        *(JobStatus.DONE, JobStatus.CANCELLED, JobStatus.ERROR)
    }


def test_the_library_needs_nothing_of_the_services() -> None:
    script = (
        "import sys, quafu_runtime\n"
        "from clients.account import Account\nfrom job.job import Job\n"
        "from quafu_runtime_service import RuntimeService\n"
        "assert Job is quafu_runtime.Job is quafu_runtime.RuntimeJob\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(roots & {'qrt_chassis', 'qrt_gateway', 'motor', 'aio_pika', 'starlette'}))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert shown.stdout.strip() == "[]"
