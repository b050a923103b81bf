"""Interim results over WebSocket, as Quafu clients receive them.

The first message of every connection is text and is swallowed by the client. Then each interim
result is one binary frame, from the job's first on; the last frame is the job's id, and the close
code 1000 says that it was the last. Any other code makes the client come back.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from qrt_contracts.api import Frame, OutputsFrame
from qrt_contracts.faults import NotFound, RuntimeFault
from qrt_contracts.rights import Scope
from qrt_contracts.values import OutputKind
from qrt_gateway.domain.accounts import digest_of
from qrt_gateway.handlers.auth import secret_of
from qrt_gateway.handlers.guarding import Guard
from qrt_gateway.handlers.problems import away
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.quafu.asked import id_in
from qrt_gateway.quafu.repeats import Repeats
from qrt_gateway.quafu.shapes import message_bytes

log = logging.getLogger(__name__)

NORMAL, REFUSED, TRY_AGAIN = 1000, 1008, 1011
JOB_HEADERS = ("job_id", "jobid", "job-id")
REASON_BYTES = 120
"""A close frame holds 123."""


class _Gone(Exception):
    """The client has closed the connection."""


def routes(parts: Parts, repeats: Repeats, paths: tuple[str, ...]) -> list[WebSocketRoute]:
    """Return the routes of the stream: one for each of `paths`."""

    async def stream(websocket: WebSocket) -> None:
        websocket.scope["qrt.route"] = "quafu stream"
        await websocket.accept()
        try:
            await _stream(parts, repeats, websocket)
        except (WebSocketDisconnect, _Gone):
            log.debug("a listener has gone")
        except Exception as error:
            fault = error if isinstance(error, RuntimeFault) else away(error)
            if fault is None:
                raise
            await _break_off(websocket, fault)

    return [WebSocketRoute(path, stream) for path in paths]


async def _stream(parts: Parts, repeats: Repeats, websocket: WebSocket) -> None:
    secret = secret_of(websocket.headers)
    caller = await parts.visits.admitted(websocket, parts.accounts.authenticate(secret), Scope.READ)
    job_id = _job_id(websocket)
    pair = (digest_of(secret), job_id)
    if repeats.again(*pair):
        await parts.watching.job(caller, job_id)
        await websocket.send_text(_acknowledgement(job_id))
        await websocket.close(NORMAL)
        return
    async with aclosing(parts.watching.follow(caller, job_id)) as frames:
        first = await anext(frames)
        await websocket.send_text(_acknowledgement(job_id))
        guard = Guard(parts.watching, lambda: parts.accounts.authenticate(secret))
        await _send_all(websocket, job_id, _messages(first, frames), guard)
    repeats.told(*pair)


def _job_id(websocket: WebSocket) -> str:
    for name in JOB_HEADERS:
        if given := websocket.headers.get(name, "").strip():
            return id_in(given, what="job")
    raise NotFound("there is no job: send its id in the header job_id")


def _acknowledgement(job_id: str) -> str:
    return json.dumps({"type": "ack", "job_id": job_id})


async def _messages(first: Frame, frames: AsyncGenerator[Frame, None]) -> AsyncIterator[bytes]:
    for each in _interim(first):
        yield each
    async for frame in frames:
        for each in _interim(frame):
            yield each


def _interim(frame: Frame) -> list[bytes]:
    if not isinstance(frame, OutputsFrame):
        return []
    return [message_bytes(each) for each in frame.outputs if each.kind is OutputKind.INTERIM]


async def _send_all(websocket: WebSocket, job_id: str, messages: AsyncIterator[bytes], guard: Guard) -> None:
    """Send until the end. A client that does not read holds this up; one that leaves ends it."""
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_until_gone(websocket))
            look = group.create_task(guard.watch(job_id))
            async for message in messages:
                await websocket.send_bytes(message)
            await websocket.send_bytes(job_id.encode())
            watch.cancel()
            look.cancel()
    except* (_Gone, WebSocketDisconnect):
        raise _Gone from None
    except* RuntimeFault as group_of_one:
        raise group_of_one.exceptions[0] from None
    await websocket.close(NORMAL)


async def _until_gone(websocket: WebSocket) -> None:
    """Drop whatever the client sends, until it closes."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    raise _Gone


async def _break_off(websocket: WebSocket, fault: RuntimeFault) -> None:
    reason = fault.detail.encode()[:REASON_BYTES].decode(errors="ignore")
    try:
        await websocket.close(TRY_AGAIN if fault.retryable else REFUSED, reason)
    except (WebSocketDisconnect, RuntimeError):
        log.debug("a listener had gone before it was told: %s", fault.detail)
