"""Every request this library makes, one function each. Shapes: `qrt_contracts.api`."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

from pydantic import BaseModel, ValidationError

from qrt_contracts import codec
from qrt_contracts.api import (
    CircuitList,
    FileList,
    JobList,
    JobView,
    ResultView,
    SubmitRequest,
)
from qrt_contracts.api_fleet import BackendList, BackendView, CredentialView
from qrt_contracts.api_programs import (
    MAX_BUILD_WAIT_SECONDS,
    AddVersionRequest,
    BuildView,
    CreateProgramRequest,
    ProgramForm,
    ProgramList,
    ProgramView,
    UpdateProgramRequest,
    VersionList,
    VersionView,
)
from qrt_contracts.faults import field_errors
from qrt_contracts.states import JobState
from quafu_runtime import errors
from quafu_runtime._project import form_of
from quafu_runtime._wire import Call, Repeat, Request, reads, reads_nothing, reads_text, to_json

PAGE = 200
"""Entries asked for at a time when a list is read to its end."""
BUILD_WAIT = float(MAX_BUILD_WAIT_SECONDS)
"""How long lines of a build are waited for at a time."""
UPLOAD_SECONDS = 60.0
"""How long a project is judged, at most."""


def checked(model: type[BaseModel], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields as JSON data after checking them against the request's shape.

    Raises:
        InvalidRequest: naming each field at fault.
    """
    try:
        return model(**fields).model_dump(mode="json", exclude_unset=True)
    except ValidationError as exc:
        places = field_errors(list(exc.errors()))
        problem = errors.InvalidRequest.because("it would not be accepted").problem
        raise errors.InvalidRequest(problem.model_copy(update={"errors": places})) from exc


def _id(identifier: str) -> str:
    return quote(identifier, safe="")


# --- programs ---------------------------------------------------------------------------------


def create_program(fields: dict[str, Any]) -> Call[ProgramView]:
    """Upload a new program. Not repeatable: a second one would find its own name taken."""
    body = to_json(checked(CreateProgramRequest, fields), what="program")
    request = Request(method="POST", path="/v1/programs", content=body, repeat=Repeat.UNSAFE)
    return Call(request, reads(ProgramView))


def add_version(program_id: str, source: str) -> Call[ProgramView]:
    """Upload a new version of one source. Repeatable, as `add_content`."""
    return add_content(program_id, {"source": source})


def add_content(program_id: str, fields: dict[str, Any]) -> Call[ProgramView]:
    """Upload a new version: a source, or the name of an image. Repeatable: the same again changes nothing."""
    body = to_json(checked(AddVersionRequest, fields), what="source")
    request = Request(method="POST", path=f"/v1/programs/{_id(program_id)}/versions", content=body)
    return Call(request, reads(ProgramView), errors.ProgramNotFound)


def create_project(fields: dict[str, Any], archive: bytes) -> Call[ProgramView]:
    """Upload a new project. Not repeatable: a second one would find its own name taken."""
    return Call(
        _upload("/v1/programs", checked(ProgramForm, fields), archive, repeat=Repeat.UNSAFE),
        reads(ProgramView),
    )


def add_project(program_id: str, archive: bytes) -> Call[ProgramView]:
    """Upload a project as a new version. Repeatable: what the newest version holds changes nothing."""
    request = _upload(f"/v1/programs/{_id(program_id)}/versions", {}, archive, repeat=Repeat.SAFE)
    return Call(request, reads(ProgramView), errors.ProgramNotFound)


def _upload(path: str, fields: dict[str, Any], archive: bytes, *, repeat: Repeat) -> Request:
    media_type, body = form_of(fields, archive)
    return Request(
        method="POST",
        path=path,
        headers={"Content-Type": media_type},
        content=body,
        repeat=repeat,
        wait_seconds=UPLOAD_SECONDS,
    )


def get_version(program_id: str, number: int, *, wait: float) -> Call[VersionView]:
    """Describe a version; the server holds its answer back up to `wait` seconds until it is built."""
    request = Request(
        method="GET",
        path=f"/v1/programs/{_id(program_id)}/versions/{number}",
        query={"wait": f"{wait:g}"},
        wait_seconds=wait,
    )
    return Call(request, reads(VersionView), errors.ProgramNotFound)


def get_build(program_id: str, number: int, *, after: int, wait: float) -> Call[BuildView]:
    """Read lines of a version's build after a number, waiting for some."""
    request = Request(
        method="GET",
        path=f"/v1/programs/{_id(program_id)}/versions/{number}/build",
        query={"after": str(after), "wait": f"{wait:g}"},
        wait_seconds=wait,
    )
    return Call(request, reads(BuildView), errors.ProgramNotFound)


def update_program(program_id: str, fields: dict[str, Any]) -> Call[ProgramView]:
    """Change what describes a program."""
    body = to_json(checked(UpdateProgramRequest, fields), what="program")
    request = Request(method="PATCH", path=f"/v1/programs/{_id(program_id)}", content=body)
    return Call(request, reads(ProgramView), errors.ProgramNotFound)


def delete_program(program_id: str) -> Call[None]:
    """Delete a program. Not repeatable: a second one would find nothing."""
    request = Request(method="DELETE", path=f"/v1/programs/{_id(program_id)}", repeat=Repeat.UNSAFE)
    return Call(request, reads_nothing, errors.ProgramNotFound)


def get_program(program_id: str) -> Call[ProgramView]:
    """Describe one program."""
    request = Request(method="GET", path=f"/v1/programs/{_id(program_id)}")
    return Call(request, reads(ProgramView), errors.ProgramNotFound)


def get_source(program_id: str) -> Call[str]:
    """Read a program's newest source text."""
    request = Request(method="GET", path=f"/v1/programs/{_id(program_id)}/source")
    return Call(request, reads_text, errors.ProgramNotFound)


def list_versions(program_id: str, *, cursor: str | None = None) -> Call[VersionList]:
    """Read one page of a program's versions, newest first."""
    query = {"limit": str(PAGE)} | ({} if cursor is None else {"cursor": cursor})
    request = Request(method="GET", path=f"/v1/programs/{_id(program_id)}/versions", query=query)
    return Call(request, reads(VersionList), errors.ProgramNotFound)


def list_programs(
    *, cursor: str | None = None, name: str | None = None, scope: str | None = None
) -> Call[ProgramList]:
    """Read one page of programs, newest first, the account's own unless `scope` says more."""
    given = {"limit": str(PAGE), "cursor": cursor, "name": name, "scope": scope}
    query = {key: value for key, value in given.items() if value is not None}
    return Call(Request(method="GET", path="/v1/programs", query=query), reads(ProgramList))


# --- jobs -------------------------------------------------------------------------------------


def submit(fields: dict[str, Any]) -> Call[JobView]:
    """Run a program. The key made here lets the request be repeated without running it twice."""
    input_value = fields.pop("input", None)
    body = checked(SubmitRequest, fields)
    if input_value is not None:
        body["input"] = encoded(input_value)
    request = Request(
        method="POST",
        path="/v1/jobs",
        headers={"Idempotency-Key": uuid4().hex},
        content=to_json(body, what="params"),
    )
    return Call(request, reads(JobView), errors.ProgramNotFound)


def encoded(value: Any) -> Any:
    """Return what a program is to get as JSON data, arrays and the like tagged.

    Raises:
        InvalidRequest: it holds something that cannot be represented; the text says what and where.
    """
    try:
        return codec.encode(value)
    except codec.NotRepresentable as exc:
        raise errors.InvalidRequest.because(f"params hold {exc}", field="params") from exc


def get_job(job_id: str) -> Call[JobView]:
    """Describe one job."""
    request = Request(method="GET", path=f"/v1/jobs/{_id(job_id)}")
    return Call(request, reads(JobView), errors.JobNotFound)


def list_jobs(
    *,
    limit: int,
    cursor: str | None = None,
    program_id: str | None = None,
    status: JobState | None = None,
    tag: str | None = None,
    owner: str | None = None,
) -> Call[JobList]:
    """Read one page of the account's jobs, newest first."""
    given = {"limit": limit, "cursor": cursor, "program_id": program_id, "status": status, "tag": tag}
    given["owner"] = owner
    query = {key: str(value) for key, value in given.items() if value is not None}
    return Call(Request(method="GET", path="/v1/jobs", query=query), reads(JobList))


def get_result(job_id: str, *, wait: float) -> Call[ResultView]:
    """Read how a job ended; the server holds its answer back up to `wait` seconds until it has."""
    request = Request(
        method="GET",
        path=f"/v1/jobs/{_id(job_id)}/result",
        query={"wait": f"{wait:g}"},
        wait_seconds=wait,
    )
    return Call(request, reads(ResultView), errors.JobNotFound)


def get_logs(job_id: str) -> Call[str]:
    """Read all the text the newest attempt has printed so far."""
    request = Request(method="GET", path=f"/v1/jobs/{_id(job_id)}/logs")
    return Call(request, reads_text, errors.JobNotFound)


def get_circuits(job_id: str, *, after: int = 0) -> Call[CircuitList]:
    """Read one page of the circuits the newest attempt has sent, those that have ended."""
    request = Request(method="GET", path=f"/v1/jobs/{_id(job_id)}/circuits", query={"after": str(after)})
    return Call(request, reads(CircuitList), errors.JobNotFound)


def list_files(job_id: str) -> Call[FileList]:
    """List what the job left in its output directory."""
    return Call(
        Request(method="GET", path=f"/v1/jobs/{_id(job_id)}/files"), reads(FileList), errors.JobNotFound
    )


def file_request(job_id: str, name: str) -> Request:
    """Return the request for one file's content."""
    return Request(method="GET", path=f"/v1/jobs/{_id(job_id)}/files/{quote(name, safe='/')}")


def cancel_job(job_id: str) -> Call[JobView]:
    """Ask for a job's end; asking again changes nothing."""
    request = Request(method="POST", path=f"/v1/jobs/{_id(job_id)}/cancel")
    return Call(request, reads(JobView), errors.JobNotFound)


def delete_job(job_id: str) -> Call[None]:
    """Forget an ended job. Not repeatable: a second one would find nothing."""
    request = Request(method="DELETE", path=f"/v1/jobs/{_id(job_id)}", repeat=Repeat.UNSAFE)
    return Call(request, reads_nothing, errors.JobNotFound)


# --- backends ---------------------------------------------------------------------------------


def list_backends() -> Call[BackendList]:
    """List where circuits can run."""
    return Call(Request(method="GET", path="/v1/backends"), reads(BackendList))


def get_backend(name: str) -> Call[BackendView]:
    """Describe one backend."""
    return Call(Request(method="GET", path=f"/v1/backends/{_id(name)}"), reads(BackendView))


_QUAFU_CREDENTIAL = "/v1/account/credentials/quafu"


def put_quafu_token(token: str) -> Call[CredentialView]:
    """Keep a token for the Quafu cloud; a second time it replaces itself."""
    content = to_json({"token": token}, what="token")
    return Call(Request(method="PUT", path=_QUAFU_CREDENTIAL, content=content), reads(CredentialView))


def get_quafu_token() -> Call[CredentialView]:
    """Tell whether a token for the Quafu cloud is kept."""
    return Call(Request(method="GET", path=_QUAFU_CREDENTIAL), reads(CredentialView))


def delete_quafu_token() -> Call[None]:
    """Forget the token for the Quafu cloud."""
    return Call(Request(method="DELETE", path=_QUAFU_CREDENTIAL, repeat=Repeat.UNSAFE), reads_nothing)


def stream_path(job_id: str) -> str:
    """Return where a job's live outputs are, a WebSocket."""
    return f"/v1/jobs/{_id(job_id)}/stream"
