"""`GET /v1/jobs/{id}/stream`: the stream as server-sent events, for clients without WebSocket.

Each event has the frame's type as its name and the frame's JSON as its data. Its id is the place
after it, `attempt.number`, which browsers send back in `Last-Event-ID` when they come again.
Source: HTML standard, section 9.2, "Server-sent events".
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api import AttemptFrame, EndFrame, ErrorFrame, Frame, OutputsFrame
from qrt_contracts.faults import InvalidRequest, RuntimeFault
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.described import Header, Media, described
from qrt_gateway.handlers.guarding import Guard
from qrt_gateway.handlers.jobs import job_id_of
from qrt_gateway.handlers.reading import query_as
from qrt_gateway.handlers.resource import Parts, resource
from qrt_gateway.handlers.stream import PATH, StreamQuery
from qrt_gateway.handlers.streaming import Streamed, begun, with_pauses
from qrt_gateway.service.frames import text_of

RETRY = "retry: 1000\n\n"
"""Milliseconds until a client whose connection broke comes again."""
KEEP_ALIVE = ": nothing new\n\n"
KEEP_ALIVE_SECONDS = 15.0
"""Proxies drop what is silent for a minute."""

_PLACE = re.compile(r"([0-9]{1,9})\.([0-9]{1,12})(\.end)?")


EVENTS = Media(("text/event-stream",), "Frames as server-sent events, to the end of the job.")
LAST_EVENT = Header("Last-Event-ID", "Where the client was when its connection broke.", f"^{_PLACE.pattern}$")


def routes(parts: Parts) -> list[Route]:
    """Return the route of streams as server-sent events."""
    return [resource(parts, PATH, get=events)]


@described({200: EVENTS, 204: "Everything was sent before."}, query=StreamQuery, headers=(LAST_EVENT,))
async def events(parts: Parts, request: Request, caller: Caller) -> Response:
    """Send a job's frames as events, to its end."""
    query, job_id = query_as(request, StreamQuery), job_id_of(request)
    attempt, after = query.attempt, query.after
    if place := request.headers.get("last-event-id"):
        found = _PLACE.fullmatch(place)
        if found is None:
            raise InvalidRequest("Last-Event-ID is no id of this stream", field="Last-Event-ID")
        attempt, after = int(found[1]), int(found[2])
        if found[3]:
            return Response(status_code=204)  # tells the client that there is no more to come for
    frames = parts.watching.follow(caller, job_id, attempt=attempt, after=after)
    paced = with_pauses(await begun(frames), seconds=KEEP_ALIVE_SECONDS)
    guard = Guard(parts.watching, lambda: parts.callers.of(request))
    return Streamed(_texts(guard.over(paced, job_id)), media_type="text/event-stream")


async def _texts(frames: AsyncGenerator[Frame | None, None]) -> AsyncGenerator[str, None]:
    yield RETRY
    try:
        async with aclosing(frames):
            async for frame in frames:
                yield KEEP_ALIVE if frame is None else _event(frame)
    except RuntimeFault as fault:
        yield _event(ErrorFrame(problem=fault.problem()))


def _event(frame: Frame) -> str:
    # `error` is the name of what browsers say when a connection breaks.
    name = "problem" if isinstance(frame, ErrorFrame) else frame.type
    return f"{_id(frame)}event: {name}\ndata: {text_of(frame)}\n\n"


def _id(frame: Frame) -> str:
    if isinstance(frame, OutputsFrame):
        return f"id: {frame.attempt}.{frame.outputs[-1].number}\n"
    if isinstance(frame, AttemptFrame):
        return f"id: {frame.attempt}.0\n"
    if isinstance(frame, EndFrame):
        return f"id: {frame.attempt}.{frame.last_output}.end\n"
    return ""
