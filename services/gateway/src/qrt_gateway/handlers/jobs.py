"""`/v1/jobs`: submit, look, list, cancel, delete."""

import hashlib
import re

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api import JobList, JobView, SubmitRequest
from qrt_contracts.api_accounts import SharesRequest
from qrt_contracts.commands import (
    CancelJob,
    DeleteJob,
    GetJob,
    ListJobs,
    ResolveRun,
    ShareJob,
    SubmitJob,
)
from qrt_contracts.faults import InvalidRequest
from qrt_contracts.ids import HexId, new_id
from qrt_contracts.rights import JobScope, Scope, Shares
from qrt_contracts.states import JobState
from qrt_gateway.domain.accounts import Caller, require_scope
from qrt_gateway.domain.texts import canonical
from qrt_gateway.handlers.described import Header, described
from qrt_gateway.handlers.reading import body_as, id_of, query_as
from qrt_gateway.handlers.resource import Parts, json, resource
from qrt_gateway.service.secrets import Secrets
from qrt_gateway.service.submissions import Judged

_KEY = re.compile(r"[ -~]{1,255}")


RUN = (Scope.RUN,)
IDEMPOTENCY = Header(
    "Idempotency-Key", "The same again finds the job that the first request made.", f"^{_KEY.pattern}$"
)


class ListQuery(BaseModel):
    """`GET /v1/jobs`."""

    model_config = ConfigDict(extra="forbid")

    program_id: HexId | None = None
    status: JobState | None = None
    tag: str | None = Field(default=None, min_length=1, max_length=256)
    owner: JobScope = JobScope.ME
    limit: int = Field(default=50, ge=1, le=500)
    cursor: HexId | None = None


def routes(parts: Parts) -> list[Route]:
    """Return the routes of jobs."""
    return [
        resource(parts, "/v1/jobs", get=list_jobs, post=submit),
        resource(parts, "/v1/jobs/{id}", get=show, delete=delete),
        resource(parts, "/v1/jobs/{id}/cancel", post=cancel),
        resource(parts, "/v1/jobs/{id}/shares", put=share),
    ]


@described(
    {200: JobView, 201: JobView}, body=SubmitRequest, headers=(IDEMPOTENCY,), refuses=(404, 409), scopes=RUN
)
async def submit(parts: Parts, request: Request, caller: Caller) -> Response:
    """Queue a job: 201 for a new one, 200 for the one an earlier request with the same key made."""
    key = _idempotency_key(request)
    wanted = await body_as(request, SubmitRequest, limit=parts.max_body_bytes)
    resolved = await parts.bus.request(_resolve(wanted, caller))
    judged = await parts.submissions.judged(
        wanted.input,
        tags=wanted.tags,
        secrets=wanted.secrets,
        kind=resolved.run.kind,
        signature=resolved.signature,
    )
    confidential = await parts.secrets.for_job(caller.name, judged.secrets)
    payload = await parts.artifacts.wrap(judged.text)
    command = SubmitJob(
        caller=caller.name,
        rights=caller.rights,
        job_id=new_id(),
        run=resolved.run.model_copy(update={"seed": wanted.seed}),
        input=payload,
        priority=wanted.priority,
        tags=judged.tags,
        confidential=confidential,
        idempotency_key=key,
        fingerprint=_fingerprint(wanted, judged, parts.secrets, caller) if key else None,
    )
    reply = await parts.watching.submit(command)
    status = 200 if reply.repeated else 201
    return json(JobView.of(reply.job), status=status, location=f"/v1/jobs/{reply.job.id}")


@described({200: JobList}, query=ListQuery)
async def list_jobs(parts: Parts, request: Request, caller: Caller) -> Response:
    """List the caller's jobs, newest first, or those shared with it, or, for administrators, all."""
    query = query_as(request, ListQuery)
    if query.owner is JobScope.ALL:
        require_scope(caller, Scope.ADMIN)
    command = ListJobs(
        caller=caller.name,
        rights=caller.rights,
        scope=query.owner,
        **query.model_dump(exclude={"owner"}),
    )
    page = await parts.bus.request(command)
    return json(JobList(jobs=tuple(map(JobView.of, page.jobs)), next_cursor=page.next_cursor))


@described({200: JobView})
async def show(parts: Parts, request: Request, caller: Caller) -> Response:
    """Show a job; a queued one with its place, and why it waits."""
    found = await parts.bus.request(
        GetJob(caller=caller.name, rights=caller.rights, job_id=job_id_of(request), place=True)
    )
    return json(JobView.of(found.job, place=found.place))


@described({200: JobView}, scopes=RUN)
async def cancel(parts: Parts, request: Request, caller: Caller) -> Response:
    """Ask for a job's end; the answer shows where it stands now."""
    reply = await parts.bus.request(
        CancelJob(caller=caller.name, rights=caller.rights, job_id=job_id_of(request))
    )
    return json(JobView.of(reply.job))


@described({200: JobView}, body=SharesRequest, scopes=RUN)
async def share(parts: Parts, request: Request, caller: Caller) -> Response:
    """Set who may read a job besides its owner, in place of what was set before."""
    job_id = job_id_of(request)
    wanted = await body_as(request, SharesRequest, limit=parts.max_body_bytes)
    await parts.directory.require_audience(caller, groups=wanted.groups, accounts=wanted.accounts)
    shares = Shares(groups=wanted.groups, accounts=wanted.accounts)
    command = ShareJob(caller=caller.name, rights=caller.rights, job_id=job_id, shares=shares)
    return json(JobView.of((await parts.bus.request(command)).job))


@described({204: "It is forgotten."}, refuses=(409,), scopes=RUN)
async def delete(parts: Parts, request: Request, caller: Caller) -> Response:
    """Forget an ended job."""
    await parts.bus.request(DeleteJob(caller=caller.name, rights=caller.rights, job_id=job_id_of(request)))
    return Response(status_code=204)


def job_id_of(request: Request) -> str:
    """Return the id in a job's path."""
    return id_of(request.path_params["id"], what="job")


def _resolve(wanted: SubmitRequest, caller: Caller) -> ResolveRun:
    program_id = wanted.program_id
    if program_id is not None:
        program_id = id_of(program_id, what="program", field="program_id")
    return ResolveRun(
        caller=caller.name,
        rights=caller.rights,
        program_id=program_id,
        name=wanted.program_name,
        version=wanted.version,
    )


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest(
            "the header Idempotency-Key must have 1 to 255 printable ASCII characters",
            field="Idempotency-Key",
        )
    return key


def _fingerprint(wanted: SubmitRequest, judged: Judged, secrets: Secrets, caller: Caller) -> str:
    """Return what two equal submissions share, however their JSON was written.

    It is stored: of secrets it must tell nothing, not even to who guesses at them.
    """
    fields = {name: getattr(wanted, name) for name in SubmitRequest.model_fields if name != "secrets"}
    if not judged.secrets:
        return hashlib.sha256(canonical(fields)).hexdigest()
    fields |= {"input": judged.value, "secrets": dict(judged.secrets)}
    return secrets.fingerprint(caller.name, canonical(fields))
