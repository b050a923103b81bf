"""One attempt's sandbox, seen from the executor: its channels, its processes, its end."""

import asyncio
import json
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from qrt_contracts.values import Isolation
from qrt_executor.adapters import collector, processes
from qrt_executor.adapters.bubblewrap import INPUT, OUTPUT, TMP, WORK
from qrt_executor.adapters.cgroups import Cgroup
from qrt_executor.adapters.descriptors import AnyReadable, Reader, Watch, close_all, is_readable, readable
from qrt_executor.adapters.scratch import Scratch
from qrt_executor.adapters.wire import READY, Caps, Frame, FrameReader, ProtocolViolation, claim_from, frame
from qrt_executor.adapters.zygote import Ends, Zygote
from qrt_executor.domain.verdict import Claim, Exit
from qrt_executor.ports import (
    Claims,
    FileBudget,
    InterimKind,
    InvalidCall,
    LeftFile,
    Leftovers,
    Memory,
    MemoryBy,
    Order,
    SandboxUnavailable,
    Sink,
    Stream,
)

_READY_SECONDS = 10.0
_TELL_SECONDS = 5.0
"""The longest that taking in what needs no answer may hold up what comes after it."""
_READ_BYTES = 64 * 1024
_CREDENTIALS = struct.Struct("3i")
_DESCRIPTOR = struct.Struct("i")
_GIVEN = 3
"""Descriptors that come with a jail's READY."""
_KINDS: dict[int, InterimKind] = {ord("b"): "bytes", ord("s"): "text", ord("j"): "json"}


class Jail:
    """A parked, single-use sandbox: `ports.Sandbox`."""

    def __init__(
        self,
        ends: Ends,
        *,
        ready: "Ready",
        zygote: Zygote,
        uid: int,
        scratch: Scratch | None,
        cgroup: Cgroup | None,
    ) -> None:
        self.zygote = zygote
        zygote.attempts += 1
        """What it was forked from; it does not outlive it."""
        self.uid = uid
        self._first = ready.pid
        self._pidfd = ready.process if ready.keeper is None else ready.keeper
        """Of the process whose death is the death of all: the keeper, without a jail the init."""
        self._program = None if ready.keeper is None else ready.process
        self._killed = False
        self._events = ends.events
        self._streams: dict[Stream, Reader] = {"stdout": Reader(ends.stdout), "stderr": Reader(ends.stderr)}
        self._status = Reader(ends.status)
        self._caps = Caps(message_bytes=0, result_bytes=0)
        self._scratch = scratch
        self._cgroup = cgroup
        self._memory_limit = 0
        self._directory = ready.directory
        self._closed = False
        self._freed = False

    @property
    def isolation(self) -> Isolation:
        """What stands between its program and the host."""
        return self.zygote.level

    @property
    def closed(self) -> bool:
        """Whoever took it has given it up."""
        return self._closed

    @property
    def alive(self) -> bool:
        """Something of it still runs, or waits to."""
        return not is_readable(self._pidfd)

    async def start(self, order: Order) -> None:
        """Hand over the order; the program runs from now on. Raises OSError if the process is gone."""
        limits = order.limits
        if self._cgroup is not None:
            self._cgroup.limit(memory_bytes=limits.memory_bytes, processes=limits.processes)
        self._caps = Caps(message_bytes=limits.message_bytes, result_bytes=limits.result_bytes)
        self._memory_limit = limits.memory_bytes
        settings = limits.model_dump() | self._places()
        settings |= {
            "backend": order.backend,
            "kind": order.kind.value,
            "mode": order.mode,
            "environ": dict(order.environ),
        }
        await asyncio.get_running_loop().sock_sendall(
            self._events,
            frame(Frame.START, orjson.dumps(settings))
            + frame(Frame.SOURCE, order.source)
            + frame(Frame.INPUT, order.input.encode()),
        )

    def _places(self) -> dict[str, str]:
        """Return the program's directories as it sees them."""
        scratch = self._scratch
        if scratch is None:
            return {"work": WORK, "tmp": TMP, "input": INPUT, "output": OUTPUT}
        places = {"work": scratch.work, "tmp": scratch.tmp, "input": scratch.input, "output": scratch.output}
        return {name: str(path) for name, path in places.items()}

    async def converse(self, sink: Sink) -> Claims:
        """Read all that the program sends and writes, until the last of it is dead."""
        async with asyncio.TaskGroup() as group:
            for stream in self._streams:
                group.create_task(self._pump(stream, sink))
            frames = group.create_task(self._frames(sink, group))
        return frames.result()

    async def _pump(self, stream: Stream, sink: Sink) -> None:
        reader = self._streams[stream]
        while data := await reader.read(_READ_BYTES):
            sink.log(stream, data)
            await sink.room()

    async def _frames(self, sink: Sink, group: asyncio.TaskGroup) -> Claims:
        reader = FrameReader(self._caps)
        result: bytes | None = None
        error: Claim | None = None
        calling: asyncio.Task[None] | None = None
        watch = Watch(self._events.fileno())
        printed = AnyReadable(*self._streams.values())
        try:
            while data := await self._receive(watch):
                for kind, payload in reader.feed(data):
                    if kind is Frame.INTERIM:
                        self._interim(payload, sink, printed)
                    elif kind is Frame.CALL:
                        _check_turn(calling)
                        calling = group.create_task(self._answer(payload, sink))
                    elif kind is Frame.TELL:
                        async with asyncio.timeout(_TELL_SECONDS):
                            await sink.call(payload)
                    elif kind is Frame.RESULT:
                        result = payload
                    else:
                        error = claim_from(payload)
                await sink.room()
                await asyncio.sleep(0)  # a program that never stops talking must not keep others waiting
        except (ProtocolViolation, InvalidCall) as violation:
            sink.violation(str(violation))
        except TimeoutError:
            sink.violation("what takes an answer, and did not wait for one")
        finally:
            watch.close()
            if calling is not None:
                calling.cancel()
        return Claims(result=result, error=error)

    async def _answer(self, question: bytes, sink: Sink) -> None:
        try:
            reply = await sink.call(question)
        except InvalidCall as exc:
            sink.violation(str(exc))
            return
        with suppress(OSError):  # the program has gone without waiting for it
            await asyncio.get_running_loop().sock_sendall(self._events, frame(Frame.REPLY, reply))

    async def _receive(self, watch: Watch) -> bytes:
        while not self._closed:
            try:
                # Never with an ancillary buffer: the kernel then drops any descriptor a program sends.
                return self._events.recv(_READ_BYTES)
            except BlockingIOError:
                await watch.readable()
            except ConnectionResetError:
                break
        return b""

    def _interim(self, payload: bytes, sink: Sink, printed: AnyReadable) -> None:
        kind = _KINDS.get(payload[0]) if payload else None
        if kind is None:
            raise ProtocolViolation("an interim result of an unknown encoding")
        data = payload[1:]
        if kind == "json":
            _check_json(data)
        if printed:  # what it printed before comes before
            for stream, reader in self._streams.items():
                if written := reader.now(_READ_BYTES):
                    sink.log(stream, written)
        sink.interim(kind, data)

    async def ended(self) -> Exit | None:
        """Wait until every process of the attempt is dead; None if nobody can say how it ended."""
        await readable(self._pidfd)
        out_of_memory = self._cgroup is not None and self._cgroup.out_of_memory()
        report = await self._report()
        if report is None or (report["with_keeper"] and not self._killed):
            # Killed from outside: by the kernel for its memory, or with all that it hangs on.
            return Exit(signal=signal.SIGKILL, out_of_memory=True) if out_of_memory else None
        status = report["status"]
        killed = os.WIFSIGNALED(status)
        if killed and os.WTERMSIG(status) == signal.SIGKILL and not self.zygote.alive:
            return None  # it did not fail by itself: it died with what it hangs on
        peak = None if self._cgroup is None else self._cgroup.peak_bytes()
        return Exit(
            exit_code=None if killed else os.WEXITSTATUS(status),
            signal=os.WTERMSIG(status) if killed else None,
            cpu_seconds=report["cpu_seconds"],
            peak_memory_bytes=report["peak_memory_bytes"] if peak is None else peak,
            out_of_memory=out_of_memory,
        )

    async def _report(self) -> dict[str, Any] | None:
        """Return what the trusted side has reported of the program's end, None if it could not."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                report = await self._status.read(4096)
        except TimeoutError:
            return None
        return json.loads(report) if report else None

    def processes(self) -> list[int]:
        """Return the living processes of the attempt, as this host numbers them."""
        if self._program is None:
            return [self._first, *processes.descendants(self._first)]
        if is_readable(self._program):
            return []  # with it go all the others
        orphans = processes.descendants(processes.pid_of(self._pidfd))
        return [self._first, *processes.descendants(self._first), *orphans]

    def terminate(self) -> None:
        """Send SIGTERM to all processes of the attempt; without a jail its init does that."""
        if self._program is None:
            self._signal(signal.SIGTERM)
            return
        with processes.held(self.processes()) as pidfds:
            living = set(self.processes())  # a number can have been given away before it was held
            for pid, pidfd in pidfds.items():
                if pid in living:
                    with suppress(ProcessLookupError):
                        signal.pidfd_send_signal(pidfd, signal.SIGTERM)

    def kill(self) -> None:
        """Kill all processes of the attempt."""
        self._killed = True
        if self._program is None:
            # Its init kills what is below it; killing the init first would leave that to nobody.
            self._signal(signal.SIGCONT)
            self._signal(signal.SIGUSR1)
        else:
            self._signal(signal.SIGKILL)

    def kill_by_force(self) -> None:
        """Kill whatever is left one by one, the init last; a jail's keeper takes all with it."""
        if self._program is not None:
            self._signal(signal.SIGKILL)
        elif self.alive:
            processes.kill_tree(self._first)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    @property
    def memory_by(self) -> MemoryBy:
        """What holds its memory limit."""
        return "watchdog" if self._cgroup is None else "cgroup"

    def memory(self) -> Memory:
        """Return how the attempt stands with its memory: the kernel's word, or a look at its processes."""
        if self._cgroup is not None:
            return Memory(held_bytes=self._cgroup.peak_bytes() or 0, exceeded=self._cgroup.out_of_memory())
        held = processes.held_bytes(self.processes(), limit=self._memory_limit)
        return Memory(held_bytes=held, exceeded=held > self._memory_limit)

    async def leftovers(self, budget: FileBudget) -> Leftovers:
        """Return what is in the output directory. Only once `ended` has returned."""
        if self._directory is None or collector.is_empty(self._directory):
            return Leftovers()
        return await asyncio.to_thread(collector.leftovers, self._directory, budget=budget)

    async def content(self, file: LeftFile) -> AsyncIterator[bytes]:
        """Read one of them; it yields no more than the file's size. Raises OSError."""
        assert self._directory is not None  # noqa: S101 - where there is a file, there is a directory
        pieces = collector.content(self._directory, file)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece

    async def conclude(self, claims: Claims) -> Claims:
        """Return what it has said: its runner sends the result itself."""
        return claims

    def abandon(self) -> None:
        """Kill what is left and close its channels: what needs no waiting. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.zygote.attempts -= 1
        self.kill()
        self._events.close()
        for reader in (*self._streams.values(), self._status):
            reader.close()

    async def close(self) -> None:
        """Kill what is left and free everything the sandbox held. Idempotent."""
        if self._freed:
            return
        self._freed = True
        self.abandon()
        try:
            if self.alive:
                async with asyncio.timeout(_READY_SECONDS):
                    await readable(self._pidfd)
        except TimeoutError:
            self.kill_by_force()
        finally:
            held = (self._pidfd, self._program, self._directory)
            close_all(*(fd for fd in held if fd is not None))
        if self._cgroup is not None:
            await asyncio.to_thread(self._cgroup.remove)  # the kernel takes some ms over it
        if self._scratch is not None:
            await asyncio.to_thread(self._scratch.remove)


@dataclass(frozen=True, slots=True)
class Ready:
    """What an attempt's READY tells, before anything of a program is there."""

    pid: int
    """Of its sender as the kernel gives it: a jail's program's process, without a jail the init."""
    process: int
    """The sender's pidfd."""
    keeper: int | None
    """The pidfd of the jail's keeper."""
    directory: int | None
    """A descriptor of the output directory."""

    def close(self) -> None:
        """Close all of it, for an attempt that will not come to be."""
        close_all(*(fd for fd in (self.process, self.keeper, self.directory) if fd is not None))


async def receive_ready(ends: Ends, *, jailed: bool) -> Ready:
    """Wait for an attempt's READY. What it holds is from trusted code, and the last descriptors received.

    Raises:
        SandboxUnavailable: it did not come, or was something else.
    """
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await readable(ends.events.fileno())
    except TimeoutError:
        raise SandboxUnavailable("a parked sandbox did not report") from None
    room = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_GIVEN * _DESCRIPTOR.size)
    try:
        data, ancillary, _, _ = ends.events.recvmsg(len(READY), room, socket.MSG_CMSG_CLOEXEC)
    except OSError as exc:
        raise SandboxUnavailable(f"a parked sandbox ended before it was ready: {exc}") from exc
    told = {kind: payload for level, kind, payload in ancillary if level == socket.SOL_SOCKET}
    given = [fd for (fd,) in _DESCRIPTOR.iter_unpack(told.get(socket.SCM_RIGHTS, b""))]
    ends.events.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
    pid = int(_CREDENTIALS.unpack(told.get(socket.SCM_CREDENTIALS, bytes(_CREDENTIALS.size)))[0])
    if data == READY and pid > 0 and jailed and len(given) == _GIVEN:
        keeper, process, directory = given
        return Ready(pid, process, keeper, directory)
    close_all(*given)
    if data == READY and pid > 0 and not jailed:
        with suppress(ProcessLookupError):
            return Ready(pid, os.pidfd_open(pid), None, None)
    raise SandboxUnavailable("a parked sandbox ended before it was ready")


def _check_turn(calling: asyncio.Task[None] | None) -> None:
    if calling is not None and not calling.done():
        raise ProtocolViolation("a question before the last one was answered")


def _check_json(data: bytes) -> None:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ProtocolViolation("an interim result that is not JSON, though it says so") from None
