"""One attempt's container: `ports.Sandbox`."""

import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiodocker.exceptions import DockerError
from aiodocker.stream import Stream as Attached

from qrt_chassis.tasks import Tasks
from qrt_contracts.endings import Ending
from qrt_contracts.faults import Unavailable
from qrt_contracts.values import Limits
from qrt_executor.adapters.containers.archive import RESULT, Spool
from qrt_executor.adapters.containers.engine import GONE, UNREACHABLE, Engine
from qrt_executor.adapters.containers.holder import OUTPUT, Holder
from qrt_executor.domain.markers import Markers, TooLong
from qrt_executor.domain.verdict import Claim, Exit
from qrt_executor.ports import (
    Claims,
    FileBudget,
    LeftFile,
    Leftovers,
    Memory,
    MemoryBy,
    Order,
    SandboxUnavailable,
    Sink,
    Stream,
)

log = logging.getLogger(__name__)

_STREAMS: dict[int, Stream] = {1: "stdout", 2: "stderr"}
_PATIENCE_SECONDS = 60.0
"""How long an engine that has gone away is waited for before an attempt in it counts as lost."""
_ASK_SECONDS = 1.0
_LOOK_SECONDS = 10.0
_BY_SIGNAL = 128
_DETAIL_CHARACTERS = 10_000


class Container:
    """A created container with its holder. Whoever took it closes it."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        *,
        attached: Attached,
        holder: Holder,
        scratch: Path,
        memory_by: MemoryBy | None,
        belongings: AsyncExitStack,
    ) -> None:
        """`belongings` is closed with it: the container, and all that was made for it."""
        self._belongings = belongings
        self._engine = engine
        self._id = container
        self._attached = attached
        self._holder = holder
        self._scratch = scratch
        self._memory_by = memory_by
        self._tasks = Tasks(f"container {holder.name}")
        self._limits = Limits()
        self._starting: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._unstarted: str | None = None
        """Why the engine could not start its command."""
        self._exit: Exit | None = None
        self._markers = Markers(message_bytes=0, result_bytes=0)
        self._spool: Spool | None = None
        self._cpu_seconds: float | None = None
        self._peak_bytes = 0
        self._over_cpu = False
        self._closed = False

    async def start(self, order: Order) -> None:
        """Let it run. It returns at once: how long the engine takes counts, but holds nothing up."""
        self._limits = order.limits
        self._markers = Markers(
            message_bytes=order.limits.message_bytes, result_bytes=order.limits.result_bytes
        )
        self._starting = self._tasks.start(self._start(), name="start")
        self._begun.set()

    async def _start(self) -> None:
        try:
            await self._ask("POST", "start")
        except DockerError as exc:
            self._unstarted = exc.message
        except UNREACHABLE as exc:
            self._unstarted = f"the engine does not answer: {exc}"
        else:
            self._tasks.start(self._measure(), name="measure")

    async def converse(self, sink: Sink) -> Claims:
        """Read all that it writes until its last process is dead."""
        await self._begun.wait()
        heeded = True
        while (message := await self._read()) is not None:
            stream, data = message
            sink.log(stream, data)
            if stream == "stdout" and heeded:
                heeded = self._heed(data, sink)
            await sink.room()
        if heeded:
            self._heed(b"\n", sink)
        return Claims(result=self._markers.result)

    async def _read(self) -> tuple[Stream, bytes] | None:
        try:
            message = await self._attached.read_out()
        except UNREACHABLE as exc:
            log.warning("the output of a container is cut off: %s", exc)
            return None
        return None if message is None else (_STREAMS.get(message.stream, "stderr"), message.data)

    def _heed(self, data: bytes, sink: Sink) -> bool:
        """Look for what it marks on stdout; False once it has gone too far with it."""
        try:
            for value in self._markers.feed(data):
                sink.interim("json", value)
        except TooLong as exc:
            sink.violation(str(exc))
            return False
        return True

    # --- its end ------------------------------------------------------------------------------

    async def ended(self) -> Exit | None:
        """Wait until every process of it is dead; None if nobody can say how it ended."""
        await self._begun.wait()
        assert self._starting is not None  # noqa: S101 - set where it has begun
        await asyncio.wait({self._starting})
        state = await self._final_state()
        if state is None or (self._unstarted and not state["ExitCode"]):
            return None
        self._exit = self._exit_of(state)
        return self._exit

    async def _final_state(self) -> dict[str, Any] | None:
        """Return the state of the container once it does not run; None if nobody can say any more."""
        clock, silent = asyncio.get_running_loop().time, 0.0
        while not self._engine.given_up and (not silent or clock() - silent < _PATIENCE_SECONDS):
            try:
                state = await self._state_in_a_while()
            except DockerError as exc:
                if exc.status == GONE:
                    return None
            except UNREACHABLE:
                log.debug("the engine does not tell how a container stands")
            else:
                if not state["Running"]:
                    return state
                silent = 0.0
                continue
            silent = silent or clock()
            await asyncio.sleep(_ASK_SECONDS)
        return None

    async def _state_in_a_while(self) -> dict[str, Any]:
        """Return the state once it does not run, or after some seconds: no one answer is waited for long."""
        if not self._unstarted:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._ask("POST", "wait", unending=True)
        async with asyncio.timeout(_LOOK_SECONDS):
            state: dict[str, Any] = (await self._ask("GET", "json"))["State"]
        return state

    def _exit_of(self, state: dict[str, Any]) -> Exit:
        code = int(state["ExitCode"])
        killed = signal.SIGXCPU if self._over_cpu else code - _BY_SIGNAL if code > _BY_SIGNAL else None
        return Exit(
            exit_code=None if killed else code,
            signal=killed,
            cpu_seconds=self._cpu_seconds,
            peak_memory_bytes=self._peak_bytes or None,
            out_of_memory=bool(state.get("OOMKilled")),
        )

    async def _measure(self) -> None:
        """Follow what the engine measures, once a second; end it at its limit of CPU time."""
        try:
            path = f"containers/{self._id}/stats"
            async with self._engine.request("GET", path, unending=True) as response:
                async for sample in self._engine.messages(response):
                    self._sample(sample)
        except (DockerError, ValueError, *UNREACHABLE) as exc:
            log.debug("a container is not measured any more: %s", exc)

    def _sample(self, sample: Mapping[str, Any]) -> None:
        used = sample.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0) / 1e9
        self._cpu_seconds = used or self._cpu_seconds
        memory = sample.get("memory_stats", {})
        self._peak_bytes = max(self._peak_bytes, memory.get("max_usage") or memory.get("usage") or 0)
        if used > self._limits.cpu_seconds and not self._over_cpu:
            self._over_cpu = True
            self.kill()

    def terminate(self) -> None:
        """Send SIGTERM to its first process."""
        self._tasks.start(self._signal("SIGTERM"), name="terminate")

    def kill(self) -> None:
        """Kill all its processes: the kernel kills them with the first one."""
        self._tasks.start(self._signal("SIGKILL"), name="kill")

    async def _signal(self, name: str) -> None:
        if self._starting is not None:
            await asyncio.wait({self._starting})
        try:
            await self._ask("POST", "kill", params={"signal": name})
        except (DockerError, *UNREACHABLE) as exc:
            log.debug("a container was not sent %s: %s", name, exc)  # it has ended

    async def remove(self) -> None:
        """Kill and remove it. Raises DockerError, or what `UNREACHABLE` holds."""
        await self._engine.remove(self._id)

    async def _ask(
        self, method: str, what: str, *, params: Mapping[str, str] | None = None, unending: bool = False
    ) -> Any:
        return await self._engine.ask(
            method, f"containers/{self._id}/{what}", params=params, unending=unending
        )

    # --- what it leaves -----------------------------------------------------------------------

    async def leftovers(self, budget: FileBudget) -> Leftovers:
        """Return what is in the output directory. Only once `ended` has returned."""
        self._spool = spool = Spool(self._scratch)
        try:
            async with self._holder.archive(OUTPUT) as response:
                whole = await spool.fill(response, budget)
        except DockerError as exc:
            raise Unavailable(f"the engine does not give out what the container has left: {exc}") from exc
        except UNREACHABLE as exc:
            raise SandboxUnavailable(f"the engine was lost with what the container has left: {exc}") from exc
        return await asyncio.to_thread(spool.look, budget, whole=whole)

    async def content(self, file: LeftFile) -> AsyncIterator[bytes]:
        """Read one of them; it yields no more than the file's size. Raises OSError."""
        assert self._spool is not None  # noqa: S101 - where there is a file, there is a spool
        async for piece in self._spool.content(file):
            yield piece

    async def conclude(self, claims: Claims) -> Claims:
        """Return its result: output.json, else what it marked on stdout, else null; or why it failed."""
        if self._unstarted is not None:
            detail = f"its command could not be started: {self._unstarted[:_DETAIL_CHARACTERS]}"
            return Claims(error=Claim(code=Ending.EXITED, detail=detail, traceback=None))
        if self._exit is None or self._exit.exit_code is None:
            return Claims()
        assert self._spool is not None  # noqa: S101 - what it has left was looked at before
        try:
            written = await self._spool.result(limit=self._limits.result_bytes)
        except ValueError as exc:
            return _failed(Ending.OUTPUT_LIMIT, f"its result, {RESULT}, is over the limit: {exc}")
        if self._exit.exit_code:
            return _failed(*_told(self._exit.exit_code, written))
        if written is not None:
            return Claims(result=written)
        marked = b"null" if claims.result is None else claims.result
        if self._markers.in_block and not marked.startswith(b"{"):
            return _failed(Ending.INVALID_RESULT, "the first block of a result on stdout is no JSON object")
        return Claims(result=marked)

    # --- closing ------------------------------------------------------------------------------

    async def close(self) -> None:
        """Kill and remove it and all it had; what the engine keeps is swept later. Idempotent."""
        if self._closed:
            return
        self._closed = True
        await self._tasks.close()
        await self._belongings.aclose()
        if self._spool is not None:
            self._spool.close()

    @property
    def memory_by(self) -> MemoryBy | None:
        """What holds its memory limit, None for nothing."""
        return self._memory_by

    def memory(self) -> Memory:
        """Return how it stands with its memory; the kernel sees to the limit, the exit tells of it."""
        return Memory(held_bytes=self._peak_bytes, exceeded=False)


def _failed(code: Ending, detail: str) -> Claims:
    return Claims(error=Claim(code=code, detail=detail, traceback=None))


def _told(exit_code: int, written: bytes | None) -> tuple[Ending, str]:
    """Return why a container failed: what it says itself in a problem document, or its exit code."""
    try:
        document = json.loads(written or b"null")
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("title"), str) and "detail" in document:
        return Ending.PROGRAM_ERROR, f"{document['title']}: {document['detail']}"[:_DETAIL_CHARACTERS]
    return Ending.EXITED, f"its process ended with exit code {exit_code}"
