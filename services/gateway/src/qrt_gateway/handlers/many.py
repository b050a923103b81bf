"""`WS /v1/stream`: one connection that follows many jobs of its caller.

The client sends `subscribe` and `unsubscribe` frames; what it gets are the frames of each job's own
stream, which name their job. An end or an error of one job ends its subscription and nothing else.
"""

import asyncio
import logging
from contextlib import aclosing
from functools import partial
from typing import cast

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from qrt_contracts.api import (
    MAX_SUBSCRIPTIONS,
    ClientFrame,
    ErrorFrame,
    Frame,
    Subscribe,
    SubscribedFrame,
    UnsubscribedFrame,
)
from qrt_contracts.faults import InvalidRequest, NotFound, Overloaded, RuntimeFault
from qrt_contracts.rights import Scope
from qrt_contracts.states import TERMINAL
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.handlers.guarding import LOOK_SECONDS, Guard
from qrt_gateway.handlers.problems import away
from qrt_gateway.handlers.reading import id_of
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.handlers.stream import TRY_AGAIN, break_off, refuse
from qrt_gateway.handlers.writing import send, writer

log = logging.getLogger(__name__)

PATH = "/v1/stream"
_FRAME: TypeAdapter[ClientFrame] = TypeAdapter(ClientFrame)


class _Gone(Exception):
    """The client has closed the connection."""


class _Closing(Exception):
    """The gateway is stopping: the client is to connect again, to another one."""


def routes(parts: Parts) -> list[WebSocketRoute]:
    """Return the route of the stream of many jobs."""

    async def stream(websocket: WebSocket) -> None:
        websocket.scope["qrt.route"] = PATH
        try:
            caller = await parts.visits.admitted(websocket, parts.callers.of(websocket), Scope.READ)
        except Exception as error:
            fault = _fault(error)
            if fault is None:
                raise
            await refuse(websocket, fault)
            return
        await websocket.accept()
        await _serve(parts, caller, websocket)

    return [WebSocketRoute(PATH, stream)]


async def _serve(parts: Parts, caller: Caller, websocket: WebSocket) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            session = _Session(parts, caller, websocket, group)
            group.create_task(session.guard())
            await session.listen()
    except* (_Gone, WebSocketDisconnect):
        log.debug("a listener to many jobs has gone")
    except* _Closing:
        await websocket.close(TRY_AGAIN)
    except* RuntimeFault as group_of_one:
        await break_off(websocket, cast("RuntimeFault", group_of_one.exceptions[0]))


class _Session:
    """What one connection follows. Each subscription is a task of the connection's group."""

    def __init__(self, parts: Parts, caller: Caller, websocket: WebSocket, group: asyncio.TaskGroup) -> None:
        self._parts = parts
        self._caller = caller
        self._websocket = websocket
        self._write = writer(websocket)
        self._group = group
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._all: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Do what the client says, until it leaves."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise _Gone
            try:
                await self._obey(_read(message.get("text") or message.get("bytes") or b""))
            except RuntimeFault as fault:
                await self._send(ErrorFrame(problem=fault.problem()))

    async def guard(self) -> None:
        """End what the client may not follow any more; raises once it may not listen at all."""
        guard = Guard(self._parts.watching, lambda: self._parts.callers.of(self._websocket))
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._caller = await guard.caller() or self._caller
            for job_id in list(self._jobs):
                try:
                    await guard.look(job_id)
                except NotFound as fault:
                    await _ended(self._jobs.pop(job_id, None))
                    await self._broken(fault, job_id=job_id)

    async def _obey(self, frame: ClientFrame) -> None:
        match frame:
            case Subscribe(all=True):
                await _ended(self._all)
                self._all = self._group.create_task(self._states(outputs=frame.outputs))
            case Subscribe():
                job_id = id_of(frame.job_id or "", what="job", field="job_id")
                await _ended(self._jobs.pop(job_id, None))
                self._follow(job_id, attempt=frame.attempt, after=frame.after)
            case _ if frame.all:
                await _ended(self._all)
                self._all = None
                await self._send(UnsubscribedFrame(all=True))
            case _:
                job_id = id_of(frame.job_id or "", what="job", field="job_id")
                await _ended(self._jobs.pop(job_id, None))
                await self._send(UnsubscribedFrame(job_id=job_id))

    def _follow(self, job_id: str, *, attempt: int | None = None, after: int = 0) -> None:
        if len(self._jobs) >= MAX_SUBSCRIPTIONS:
            raise Overloaded(f"one connection follows {MAX_SUBSCRIPTIONS} jobs at a time", field="job_id")
        task = self._group.create_task(self._frames(job_id, attempt=attempt, after=after))
        self._jobs[job_id] = task
        task.add_done_callback(partial(self._forget, job_id))

    def _forget(self, job_id: str, task: asyncio.Task[None]) -> None:
        if self._jobs.get(job_id) is task:
            del self._jobs[job_id]

    async def _frames(self, job_id: str, *, attempt: int | None, after: int) -> None:
        follow = self._parts.watching.follow(
            self._caller, job_id, attempt=attempt, after=after, write=self._write
        )
        try:
            async with aclosing(follow) as frames:
                async for frame in frames:
                    await self._send(frame)
        except Exception as error:
            fault = _fault(error)
            if fault is None:
                raise
            await self._broken(fault, job_id=job_id)

    async def _states(self, *, outputs: bool) -> None:
        try:
            async with aclosing(self._parts.watching.states(self._caller)) as frames:
                async for frame in frames:
                    if isinstance(frame, SubscribedFrame):
                        await self._send(frame)
                    elif frame.job_id not in self._jobs:  # whose own stream tells, in its own order
                        await self._send(frame)
                        if outputs and frame.status not in TERMINAL:
                            await self._follow_too(frame.job_id)
        except Exception as error:
            fault = _fault(error)
            if fault is None:
                raise
            await self._broken(fault, job_id=None)

    async def _follow_too(self, job_id: str) -> None:
        try:
            self._follow(job_id)
        except Overloaded as fault:
            await self._send(ErrorFrame(job_id=job_id, problem=fault.problem()))

    async def _broken(self, fault: RuntimeFault, *, job_id: str | None) -> None:
        """Tell that one subscription is over."""
        await self._send(ErrorFrame(job_id=job_id, problem=fault.problem()))
        if self._parts.watching.closed:
            raise _Closing

    async def _send(self, frame: Frame) -> None:
        await send(self._websocket, frame, self._write)


def _fault(error: Exception) -> RuntimeFault | None:
    return error if isinstance(error, RuntimeFault) else away(error)


def _read(message: str | bytes) -> ClientFrame:
    try:
        return _FRAME.validate_python(orjson.loads(message))
    except (orjson.JSONDecodeError, ValidationError) as error:
        said = "; ".join(each["msg"] for each in error.errors()) if isinstance(error, ValidationError) else ""
        raise InvalidRequest(f"this is no frame for this stream: {said or 'not JSON'}") from None


async def _ended(task: asyncio.Task[None] | None) -> None:
    """Stop a subscription: once this returns, nothing more comes from it."""
    if task is not None:
        task.cancel()
        await asyncio.wait({task})
