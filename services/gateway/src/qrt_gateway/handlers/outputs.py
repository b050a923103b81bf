"""`/v1/jobs/{id}/outputs` and `/logs`: what a job has published and written."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from qrt_contracts.api import AttemptFrame, OutputsFrame, OutputsView
from qrt_contracts.commands import OutputPage, ReadOutputs
from qrt_contracts.faults import Unavailable
from qrt_contracts.states import TERMINAL
from qrt_contracts.values import Output, OutputKind
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.described import Media, described
from qrt_gateway.handlers.guarding import LOOK_SECONDS, Guard
from qrt_gateway.handlers.jobs import job_id_of
from qrt_gateway.handlers.reading import query_as
from qrt_gateway.handlers.resource import Parts, json, resource
from qrt_gateway.handlers.streaming import Streamed, begun, with_pauses

PAGE = 1000
TEXT = "text/plain; charset=utf-8"


LOG = Media((TEXT,), "The log of the newest attempt, as text.")


class OutputsQuery(BaseModel):
    """`GET /v1/jobs/{id}/outputs`. No `attempt` is the newest."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0)
    attempt: int | None = Field(default=None, ge=0)
    kind: OutputKind | None = None
    limit: int = Field(default=PAGE, ge=1, le=10_000)


class LogsQuery(BaseModel):
    """`GET /v1/jobs/{id}/logs`. `follow`: what is still to come, too, to the job's end."""

    model_config = ConfigDict(extra="forbid")

    follow: bool = False


def routes(parts: Parts) -> list[Route]:
    """Return the routes of outputs."""
    return [
        resource(parts, "/v1/jobs/{id}/outputs", get=outputs),
        resource(parts, "/v1/jobs/{id}/logs", get=logs),
    ]


@described({200: OutputsView}, query=OutputsQuery)
async def outputs(parts: Parts, request: Request, caller: Caller) -> Response:
    """Return a page of stored outputs."""
    query, job_id = query_as(request, OutputsQuery), job_id_of(request)
    attempt = query.attempt
    if attempt is None:
        attempt = (await parts.watching.job(caller, job_id)).attempt if query.after else 0
    page = await parts.bus.request(
        ReadOutputs(
            caller=caller.name,
            rights=caller.rights,
            job_id=job_id,
            attempt=attempt,
            after=query.after,
            kind=query.kind,
            limit=query.limit,
        )
    )
    return json(
        OutputsView(
            job_id=job_id,
            attempt=page.attempt,
            status=page.status,
            outputs=page.outputs,
            last=page.last,
            complete=page.complete,
        )
    )


@described({200: LOG}, query=LogsQuery)
async def logs(parts: Parts, request: Request, caller: Caller) -> Response:
    """Return the log of the newest attempt as text: all of it once the job has ended."""
    follow, job_id = query_as(request, LogsQuery).follow, job_id_of(request)
    if follow:
        guard = Guard(parts.watching, lambda: parts.callers.of(request))
        paced = with_pauses(await begun(_followed(parts, caller, job_id)), seconds=LOOK_SECONDS)
        return Streamed(_texts(guard.over(paced, job_id)), media_type=TEXT)
    return StreamingResponse(await begun(log_text(parts, caller, job_id)), media_type=TEXT)


async def _followed(parts: Parts, caller: Caller, job_id: str) -> AsyncGenerator[str, None]:
    """Yield a job's log as it is written; where an attempt was lost, the next one begins anew."""
    begun_before = False
    async with aclosing(parts.watching.follow(caller, job_id)) as frames:
        async for frame in frames:
            if isinstance(frame, OutputsFrame):
                yield "".join(each.data for each in frame.outputs if each.kind is OutputKind.LOG)
            elif isinstance(frame, AttemptFrame):
                yield f"\n--- attempt {frame.attempt} ---\n" if begun_before else ""
                begun_before = True
            else:
                yield ""


async def _texts(pieces: AsyncGenerator[str | None, None]) -> AsyncGenerator[str, None]:
    async with aclosing(pieces):
        async for piece in pieces:
            yield piece or ""


async def log_text(parts: Parts, caller: Caller, job_id: str) -> AsyncIterator[str]:
    """Yield the log of a job's newest attempt. Raises: NotFound, Unavailable."""
    async for outputs in pages(parts, caller, job_id, kind=OutputKind.LOG):
        yield "".join(each.data for each in outputs)


async def pages(
    parts: Parts, caller: Caller, job_id: str, *, kind: OutputKind
) -> AsyncIterator[tuple[Output, ...]]:
    """Yield what is stored of a job's newest attempt, in pages that may be empty.

    Raises:
        NotFound, Unavailable.
    """
    page = await _page(parts, caller, job_id, OutputPage(attempt=0, status="QUEUED"), kind)
    attempt = page.attempt
    while page.attempt == attempt:
        yield page.outputs
        if page.complete:
            return
        following = await _page(parts, caller, job_id, page, kind)
        if following.last == page.last and not following.complete:
            if following.status in TERMINAL:
                raise Unavailable("the end of the job's outputs is not stored yet; try again")
            return
        page = following


async def _page(
    parts: Parts, caller: Caller, job_id: str, before: OutputPage, kind: OutputKind
) -> OutputPage:
    return await parts.bus.request(
        ReadOutputs(
            caller=caller.name,
            rights=caller.rights,
            job_id=job_id,
            attempt=before.attempt,
            after=before.last,
            kind=kind,
            limit=PAGE,
        )
    )
