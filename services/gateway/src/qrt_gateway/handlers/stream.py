"""`WS /v1/jobs/{id}/stream`: a job's outputs, stored and live, as frames of JSON text."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from qrt_contracts.api import ErrorFrame, Frame
from qrt_contracts.faults import RuntimeFault
from qrt_contracts.rights import Scope
from qrt_gateway.handlers.guarding import Guard
from qrt_gateway.handlers.problems import answer, away
from qrt_gateway.handlers.reading import id_of, query_items
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.handlers.writing import send, writer

log = logging.getLogger(__name__)

PATH = "/v1/jobs/{id}/stream"
NORMAL, REFUSED, TRY_AGAIN = 1000, 1008, 1011
"""Close codes: the end frame was sent; it makes no sense to come back; it does."""


class StreamQuery(BaseModel):
    """`WS /v1/jobs/{id}/stream`. No `attempt` is the newest."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0)
    attempt: int | None = Field(default=None, ge=0)


class _Gone(Exception):
    """The client has closed the connection."""


def routes(parts: Parts) -> list[WebSocketRoute]:
    """Return the route of streams."""

    async def stream(websocket: WebSocket) -> None:
        websocket.scope["qrt.route"] = PATH
        await _stream(parts, websocket)

    return [WebSocketRoute(PATH, stream)]


async def _stream(parts: Parts, websocket: WebSocket) -> None:
    accepted = False
    try:
        async with aclosing(await _frames(parts, websocket)) as frames:
            first = await anext(frames)  # a job that cannot be followed shows here, before any WebSocket is
            await websocket.accept()
            accepted = True
            guard = Guard(parts.watching, lambda: parts.callers.of(websocket))
            await _send_all(websocket, first, frames, guard)
    except Exception as error:
        fault = error if isinstance(error, RuntimeFault) else away(error)
        if fault is None:
            raise
        await (break_off(websocket, fault) if accepted else refuse(websocket, fault))


async def _frames(parts: Parts, websocket: WebSocket) -> AsyncGenerator[Frame, None]:
    caller = await parts.visits.admitted(websocket, parts.callers.of(websocket), Scope.READ)
    job_id = _job_id(websocket)
    query = query_items(websocket.query_params.multi_items(), StreamQuery)
    return parts.watching.follow(
        caller, job_id, attempt=query.attempt, after=query.after, write=writer(websocket)
    )


def _job_id(websocket: WebSocket) -> str:
    return id_of(websocket.path_params["id"], what="job")


async def _send_all(
    websocket: WebSocket, first: Frame, frames: AsyncGenerator[Frame, None], guard: Guard
) -> None:
    """Send until the end or until the client is gone. A client that does not read holds this up."""
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_until_gone(websocket))
            look = group.create_task(guard.watch(_job_id(websocket)))
            write = writer(websocket)
            await send(websocket, first, write)
            async for frame in frames:
                await send(websocket, frame, write)
            await websocket.close(NORMAL)
            watch.cancel()
            look.cancel()
    except* (_Gone, WebSocketDisconnect):
        log.debug("a listener has gone")
    except* RuntimeFault as group_of_one:
        raise group_of_one.exceptions[0] from None


async def _until_gone(websocket: WebSocket) -> None:
    """Drop whatever the client sends, until it closes."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    raise _Gone


async def refuse(websocket: WebSocket, fault: RuntimeFault) -> None:
    """Answer the handshake with a problem document, or with an error frame where that is impossible."""
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(answer(fault))
        return
    await websocket.accept()
    await break_off(websocket, fault)


async def break_off(websocket: WebSocket, fault: RuntimeFault) -> None:
    """Tell a listener why there is no more for it, and close."""
    try:
        await websocket.send_text(ErrorFrame(problem=fault.problem()).model_dump_json())
        await websocket.close(TRY_AGAIN if fault.retryable else REFUSED)
    except (WebSocketDisconnect, RuntimeError):
        log.debug("a listener had gone before it was told: %s", fault.detail)
