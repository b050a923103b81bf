"""`/v1/jobs/{id}/input` and `/result`: what a program is given and returns, passed through as its text."""

from collections.abc import AsyncIterator

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from qrt_contracts.api import MAX_WAIT_SECONDS, InputView, ResultView
from qrt_contracts.commands import GetJob
from qrt_contracts.jobs import Job
from qrt_contracts.values import Payload
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.jobs import job_id_of
from qrt_gateway.handlers.reading import query_as
from qrt_gateway.handlers.resource import Parts, resource
from qrt_gateway.handlers.streaming import begun

JSON = "application/json"


class ResultQuery(BaseModel):
    """`GET /v1/jobs/{id}/result`. A longer wait than the longest is cut to it."""

    model_config = ConfigDict(extra="forbid")

    wait: float = Field(default=0, ge=0)


def routes(parts: Parts) -> list[Route]:
    """Return the routes of inputs and results."""
    return [
        resource(parts, "/v1/jobs/{id}/input", get=given),
        resource(parts, "/v1/jobs/{id}/result", get=result),
    ]


@described({200: InputView})
async def given(parts: Parts, request: Request, caller: Caller) -> Response:
    """Return a job's input, without the secrets that were sent with it."""
    job = (
        await parts.bus.request(GetJob(caller=caller.name, rights=caller.rights, job_id=job_id_of(request)))
    ).job
    rest = InputView(job_id=job.id).model_dump_json(exclude={"input"}).encode()
    return await _passed(parts, job.input, before=rest[:-1] + b',"input":', after=b"}")


@described({200: ResultView}, query=ResultQuery)
async def result(parts: Parts, request: Request, caller: Caller) -> Response:
    """Answer once the job has ended or the wait is over."""
    wait = min(query_as(request, ResultQuery).wait, MAX_WAIT_SECONDS)
    job = await parts.watching.ended_job(caller, job_id_of(request), wait_seconds=wait)
    before, after = _around(job)
    return await _passed(parts, job.result or Payload(text="null"), before=before, after=after)


async def _passed(parts: Parts, payload: Payload, *, before: bytes, after: bytes) -> Response:
    """Answer with a payload's own text between two others."""
    if payload.artifact is None:
        return Response(before + (payload.text or "").encode() + after, media_type=JSON)
    content = await begun(parts.artifacts.read(payload.artifact.sha256))
    length = len(before) + payload.artifact.size + len(after)
    return StreamingResponse(
        _spliced(before, content, after), headers={"Content-Length": str(length)}, media_type=JSON
    )


def _around(job: Job) -> tuple[bytes, bytes]:
    """Return what stands before and after the result's own text in a `ResultView`."""
    view = ResultView(job_id=job.id, status=job.status, problem=job.problem, ended_at=job.ended_at)
    rest = view.model_dump_json(exclude={"result"}).encode()
    return rest[:-1] + b',"result":', b"}"


async def _spliced(before: bytes, content: AsyncIterator[bytes], after: bytes) -> AsyncIterator[bytes]:
    yield before
    async for piece in content:
        yield piece
    yield after
