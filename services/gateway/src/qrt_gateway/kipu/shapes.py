"""Jobs, logs and results as the Kipu surface writes them. Pure."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from qrt_contracts.endings import Ending
from qrt_contracts.ids import dashed
from qrt_contracts.jobs import Job
from qrt_contracts.states import JobState
from qrt_contracts.values import Output

STATUS: dict[JobState, str] = {
    JobState.QUEUED: "PENDING",
    JobState.RUNNING: "RUNNING",
    JobState.SUCCEEDED: "SUCCEEDED",
    JobState.CANCELLED: "CANCELLED",
    JobState.FAILED: "FAILED",
}
RESERVED = ("_embedded", "_links")
"""Members of a result that are the platform's, whatever a program returns."""
NAVIGATION = ("self", "status")
"""Links that are no files: a file of that name is not listed, but can be had."""

_LEVEL = re.compile(
    r"(?:^|[\s|\[(:,])(TRACE|DEBUG|INFO|SUCCESS|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)(?=$|[\s|\]):,])"
)
_LEVEL_WITHIN = 80
"""Characters at the start of a line in which its level stands, after a time and a name."""
_SEVERITIES = {
    "TRACE": "DEBUG",
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "SUCCESS": "INFO",
    "NOTICE": "NOTICE",
    "WARN": "WARNING",
    "WARNING": "WARNING",
    "ERROR": "ERROR",
    "CRITICAL": "ERROR",
    "FATAL": "ERROR",
}
_BY_STREAM = {"stdout": "INFO", "stderr": "WARNING", "system": "NOTICE"}


def moment(at: datetime) -> str:
    """Return a time as `2022-01-01 22:38:08`: UTC, which it does not say."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def nanoseconds(at: datetime) -> str:
    """Return a time as `2025-10-10T08:23:26.452335000Z`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


def execution(job: Job) -> dict[str, Any]:
    """Return a job as a ServiceExecution; what is not known yet is left out."""
    found: dict[str, Any] = {"id": dashed(job.id), "createdAt": moment(job.created_at)}
    if job.started_at is not None:
        found["startedAt"] = moment(job.started_at)
    if job.ended_at is not None:
        found["endedAt"] = moment(job.ended_at)
    found |= {"status": STATUS[job.status], "type": "MANAGED", "serviceId": dashed(job.run.program_id)}
    if job.tags:
        found["tags"] = list(job.tags)
    return found


def envelope(job: Job, files: Iterable[str], *, endpoint: str) -> dict[str, Any]:
    """Return what the platform adds to a result: the execution, and a link for each file."""
    own = f"{endpoint}/{dashed(job.id)}"
    links = {"self": {"href": f"{own}/result"}, "status": {"href": own}}
    links |= {name: {"href": f"{own}/result/{quote(name)}"} for name in files if name not in NAVIGATION}
    return {"_embedded": {"status": execution(job)}, "_links": links}


def failure(job: Job) -> dict[str, Any]:
    """Return the problem document (RFC 9457) of a failed job.

    An exception of the program is named in the title and speaks in the detail, as programs' own failure
    documents do; every other cause has the title of its code.
    """
    problem = job.problem
    if problem is None:
        return {"type": "about:blank", "title": "Failed", "status": 500, "detail": "the job failed"}
    title, detail = problem.title, problem.detail
    if problem.code == Ending.PROGRAM_ERROR:
        name, _, message = detail.partition(": ")
        title, detail = name, message or name
    found: dict[str, Any] = {"type": "about:blank", "title": title, "status": 500, "detail": detail}
    found["code"] = problem.code
    if problem.errors:
        found["errors"] = [each.model_dump() for each in problem.errors]
    if problem.traceback is not None:
        found["traceback"] = problem.traceback
    return found


def severity(line: str, stream: str | None) -> str:
    """Return how grave a line of a log says it is; where it says nothing, its stream decides."""
    found = _LEVEL.search(line[:_LEVEL_WITHIN])
    return _SEVERITIES[found[1]] if found else _BY_STREAM.get(stream or "stdout", "INFO")


def entries(outputs: Sequence[Output]) -> list[dict[str, str]]:
    """Return a LogEntry for each line; a line that was cut into pieces has one for each."""
    return [
        {"message": line, "severity": severity(line, each.stream), "timestamp": nanoseconds(each.at)}
        for each in outputs
        for line in each.data.removesuffix("\n").split("\n")
    ]
