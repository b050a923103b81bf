"""One attempt, from its order to the evidence of its end."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import orjson

from qrt_contracts.endings import Ending
from qrt_executor.domain.redaction import Redactor
from qrt_executor.domain.verdict import Claim, Evidence, Exit, Stop, StopCause
from qrt_executor.ports import (
    Claims,
    MemoryBy,
    Order,
    Payloads,
    Sandbox,
    Sandboxes,
    SandboxStuck,
    Sink,
    Workshop,
)
from qrt_executor.service.files import Kept, keep_files

_WATCH_SECONDS = 0.050
_DEATH_SECONDS = 3.0
_DRAIN_SECONDS = 5.0
_LARGE_RESULT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is known when an attempt is over and every process of it is dead."""

    evidence: Evidence
    wall_seconds: float
    peak_memory_bytes: int | None
    memory_by: MemoryBy | None
    kept: Kept


class Listener(Sink, Protocol):
    """Hears all that is written and published in an attempt, and what is done to prepare it."""

    @property
    def redactor(self) -> Redactor:
        """Knows the job's secrets."""

    def remark(self, text: str) -> None:
        """Take in a line of the runtime's own."""


async def close_at_once(sandbox: Sandbox) -> None:
    """Close a sandbox before anything else happens."""
    await sandbox.close()


class Attempt:
    """Runs one order in one sandbox. `stop` may be called at any time, from anywhere in the loop."""

    def __init__(
        self, *, grace: timedelta, release: Callable[[Sandbox], Awaitable[None]] = close_at_once
    ) -> None:
        self._grace = grace
        self._release = release
        self._stop: Stop | None = None
        self._stopping = asyncio.Event()
        self._peak = 0

    def stop(self, stop: Stop) -> None:
        """End the attempt; the first reason counts."""
        if self._stop is None:
            self._stop = stop
            self._stopping.set()

    async def run(
        self, order: Order, *, workshop: Workshop, outputs: Listener, payloads: Payloads
    ) -> Outcome:
        """Run the order and return once every process of it is dead and all it left is taken in.

        Raises:
            BuildFailed, InputRefused: what it needs cannot be made of it; nothing has run.
            SandboxUnavailable: there was none; nothing has run.
            SandboxStuck: its processes cannot be killed.
        """
        sandboxes = await self._unless_stopped(workshop.prepare(order, remark=outputs.remark))
        if sandboxes is None:
            return _never_started(self._stop)
        sandbox = await sandboxes.take(order.limits, network=order.network)
        try:
            return await self._run_in(sandbox, order, sandboxes=sandboxes, outputs=outputs, payloads=payloads)
        finally:
            await self._release(sandbox)

    async def _run_in(
        self,
        sandbox: Sandbox,
        order: Order,
        *,
        sandboxes: Sandboxes,
        outputs: Listener,
        payloads: Payloads,
    ) -> Outcome:
        started = time.monotonic()
        talk = asyncio.ensure_future(sandbox.converse(outputs))
        watch = asyncio.ensure_future(self._watch_memory(sandbox, order.limits.memory_bytes))
        try:
            # Its death shows elsewhere; a program may also end before it has read all of its order.
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(order.limits.wall_seconds):
                    await sandbox.start(order)
            exit_ = await self._until_dead(sandbox, order, sandboxes)
            wall = time.monotonic() - started
            claims = await _drained(talk)
        finally:
            talk.cancel()
            watch.cancel()
            await asyncio.gather(talk, watch, return_exceptions=True)
        kept = Kept()
        if order.mode == "run":
            failed = claims.error is not None or (exit_ is not None and exit_.exit_code)
            told = outputs.redactor if failed else None
            kept = await keep_files(sandbox, payloads=payloads, limits=order.limits, told=told)
        claims = await sandbox.conclude(claims)
        return Outcome(
            evidence=await self._evidence(claims, exit_),
            wall_seconds=wall,
            peak_memory_bytes=self._peak or None,
            memory_by=sandbox.memory_by,
            kept=kept,
        )

    async def _unless_stopped(self, preparing: Coroutine[Any, Any, Sandboxes]) -> Sandboxes | None:
        """Wait for what the order needs to be made; None once the attempt is told to end."""
        made = asyncio.ensure_future(preparing)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({made, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await made if made.done() else None
        finally:
            made.cancel()
            stopping.cancel()
            await asyncio.gather(made, stopping, return_exceptions=True)

    async def _until_dead(self, sandbox: Sandbox, order: Order, sandboxes: Sandboxes) -> Exit | None:
        dead = asyncio.ensure_future(sandbox.ended())
        stopping = asyncio.ensure_future(self._stopping.wait())
        wall = order.limits.wall_seconds
        try:
            await asyncio.wait({dead, stopping}, timeout=wall, return_when=asyncio.FIRST_COMPLETED)
            if not dead.done():
                self.stop(_over_time(wall))
                await self._bring_down(sandbox, dead, sandboxes)
            return await dead
        finally:
            dead.cancel()
            stopping.cancel()
            await asyncio.gather(dead, stopping, return_exceptions=True)

    async def _bring_down(
        self, sandbox: Sandbox, dead: "asyncio.Future[Exit | None]", sandboxes: Sandboxes
    ) -> None:
        """SIGTERM, a grace, SIGKILL; then the parent of the sandbox, with all that hangs on it."""
        if self._stop is not None and self._stop.cause is not StopCause.VIOLATION:
            sandbox.terminate()
            if await _done(dead, self._grace.total_seconds()):
                return
        sandbox.kill()
        if await _done(dead, _DEATH_SECONDS):
            return
        await sandboxes.replace_parent(sandbox)
        if not await _done(dead, _DEATH_SECONDS):
            raise SandboxStuck("its processes are still there after SIGKILL")

    async def _watch_memory(self, sandbox: Sandbox, limit: int) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            memory = sandbox.memory()
            self._peak = max(self._peak, memory.held_bytes)
            if memory.exceeded:
                detail = f"its processes held more memory than the limit of {limit} bytes"
                self.stop(Stop(cause=StopCause.LIMIT, ending=Ending.MEMORY_LIMIT, detail=detail))
                sandbox.kill()
                return

    async def _evidence(self, claims: Claims, exit_: Exit | None) -> Evidence:
        result, error = None, claims.error
        if claims.result is not None and self._stop is None:
            try:
                result = await _accepted(claims.result)
            except ValueError as exc:
                detail = f"what it sent as its result is not JSON: {exc}"
                error = Claim(code=Ending.INVALID_RESULT, detail=detail, traceback=None)
        return Evidence(stop=self._stop, result=result, claim=error, exit=exit_)


def _never_started(stop: Stop | None) -> Outcome:
    return Outcome(
        evidence=Evidence(stop=stop), wall_seconds=0.0, peak_memory_bytes=None, memory_by=None, kept=Kept()
    )


def _over_time(seconds: float) -> Stop:
    detail = f"it ran for more than {seconds:g} seconds"
    return Stop(cause=StopCause.LIMIT, ending=Ending.TIME_LIMIT, detail=detail)


async def _done(future: "asyncio.Future[Exit | None]", seconds: float) -> bool:
    await asyncio.wait({future}, timeout=seconds)
    return future.done()


async def _drained(talk: "asyncio.Future[Claims]") -> Claims:
    """Return what the program said; its pipes end with its last process, so this does not wait long."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            return await asyncio.shield(talk)
    except TimeoutError:
        return Claims()


async def _accepted(result: bytes) -> str:
    """Return the result's text. Raises ValueError unless it is strict JSON in UTF-8."""
    if len(result) > _LARGE_RESULT:
        return await asyncio.to_thread(_parsed, result)
    return _parsed(result)


def _parsed(result: bytes) -> str:
    orjson.loads(result)
    return result.decode()
