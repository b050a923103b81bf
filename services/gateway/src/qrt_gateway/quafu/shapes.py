"""Programs and jobs as the Quafu surface writes them: keys in the published order, and values."""

import base64
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from qrt_contracts.jobs import Job
from qrt_contracts.states import JobState
from qrt_contracts.values import Encoding, Output, Program
from qrt_gateway.quafu.dialect import Dialect

NUMBERS: dict[JobState, int] = {
    JobState.QUEUED: 0,
    JobState.RUNNING: 1,
    JobState.SUCCEEDED: 2,
    JobState.CANCELLED: 3,
    JobState.FAILED: 4,
}
"""Clients know these five and fail on any other."""


def gmt(moment: datetime) -> str:
    """Return a time as `Wed, 10 May 2023 11:20:51 GMT`."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def ended_at(job: Job) -> str | None:
    """Return when a job ended; null before."""
    return None if job.ended_at is None else gmt(job.ended_at)


def error_text(job: Job) -> str | None:
    """Return why a job failed, None for any other; an exception's text stands for itself."""
    if job.status is not JobState.FAILED or job.problem is None:
        return None
    if job.problem.code == "ProgramError":
        return job.problem.detail
    return f"{job.problem.title}: {job.problem.detail}"


def program_entry(program: Program, dialect: Dialect) -> dict[str, Any]:
    """Return a program as it stands in a list."""
    return {
        "program_id": program.id,
        "name": program.name,
        "description": program.description,
        "is_public": dialect.is_public(program.visibility),
        "group": program.group,
        "owner": program.owner,
        "backend": program.backend,
        "cost": _whole(program.cost),
    }


def program_whole(program: Program, source: bytes, dialect: Dialect) -> dict[str, Any]:
    """Return a program with its source."""
    return {
        "program_id": program.id,
        "name": program.name,
        "data": base64.b64encode(source).decode(),
        "is_public": dialect.is_public(program.visibility),
        "description": program.description,
        "group": program.group,
        "owner": program.owner,
        "backend": program.backend,
        "cost": _whole(program.cost),
    }


def submitted(job: Job) -> dict[str, Any]:
    """Return the answer to a run."""
    return {
        "job_id": job.id,
        "status": NUMBERS[job.status],
        "backend": job.run.backend,
        "program_id": job.run.program_id,
        "creation_time": gmt(job.created_at),
    }


def message_bytes(output: Output) -> bytes:
    """Return what a program published, as the bytes of one WebSocket message."""
    if output.encoding is Encoding.BASE64:
        return base64.b64decode(output.data)
    return output.data.encode()


def _whole(cost: float | None) -> float | int | None:
    """Return a cost as the whole number it was sent as, if it was one."""
    return int(cost) if cost is not None and cost.is_integer() else cost
