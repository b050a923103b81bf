"""Where uv and what it starts run: nothing of the service's in sight, and limits on all of it."""

import array
import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from qrt_executor.adapters import bubblewrap, processes
from qrt_executor.adapters.descriptors import readable
from qrt_executor.adapters.environment import THREADS, ProgramEnvironment
from qrt_executor.adapters.environments.egress import Egress, Host
from qrt_executor.adapters.environments.sizes import tree_bytes
from qrt_executor.adapters.launcher import launched

_INSIDE = Path(__file__).parents[2] / "build_inside.py"
_OPEN_SECONDS = 20.0
_LOOK_SECONDS = 0.25
_LOOKS_FOR_SIZE = 4
_STDOUT_BYTES = 4 << 20
_LINE_BYTES = 4096
_TMP_BYTES = 64 << 20

Say = Callable[[str], None]


class LimitReached(Exception):
    """A command has passed one of its limits, and was killed with all that it had started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one command."""

    memory_bytes: int
    disk_bytes: int
    """All writable directories together."""
    processes: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What of the network a command reaches; without a sandbox it is all of it."""

    open_to: frozenset[Host]
    anywhere: bool = False
    """The public network besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One command and the world that it sees. Paths are the host's, and the same inside."""

    command: Sequence[str]
    writable: Sequence[Path]
    """Given to the user of builds; the first one is where it stands, and holds its `tmp`."""
    readable: Sequence[Path] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    network: Reach | None = None
    """None is nothing."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command has ended, what it wrote to stdout, and the lines that it wrote to stderr."""

    code: int
    output: str
    errors: str
    reached: frozenset[Host] = frozenset()
    """Places that it was connected to."""


class BuildSandbox:
    """Runs one command at a time to its end; the executor's death is the end of them all."""

    def __init__(
        self,
        base: ProgramEnvironment,
        *,
        user: tuple[int, int],
        limits: Limits,
    ) -> None:
        self._base = base
        self._user = user
        self._limits = limits

    async def run(self, task: Task, *, say: Say, jailed: bool) -> Ended:
        """Run a command; its lines on stderr go to `say`. `jailed`: bubblewrap works here.

        Raises:
            LimitReached: it needed more memory or disk than it may have.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            process = await asyncio.create_subprocess_exec(
                *self._command(task, theirs.fileno(), jailed=jailed),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={} if jailed else self._environ(task),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd="/",
                limit=_STDOUT_BYTES,
            )
            theirs.close()
            try:
                async with self._way_out(ours, task.network if jailed else None) as reached:
                    ended = await self._until_ended(process, task, say)
                return replace(ended, reached=frozenset(reached))
            finally:
                await _end(process)

    @asynccontextmanager
    async def _way_out(self, control: socket.socket, reach: Reach | None) -> AsyncIterator[set[Host]]:
        """Serve the command's way to the network, once its namespace stands; gives where it has led."""
        listener = None if reach is None else await _listener(control)
        if reach is None or listener is None:  # it has ended already; its output says why
            yield set()
            return
        egress = Egress(
            open_to=reach.open_to, anywhere=reach.anywhere, most_bytes=4 * self._limits.disk_bytes
        )
        async with egress.serving(listener):
            yield egress.reached

    async def _until_ended(self, process: asyncio.subprocess.Process, task: Task, say: Say) -> Ended:
        assert process.stdout is not None  # noqa: S101 - both are pipes
        assert process.stderr is not None  # noqa: S101
        watching = asyncio.ensure_future(self._watch(process.pid, task.writable))
        output = asyncio.ensure_future(_collected(process.stdout))
        errors = asyncio.ensure_future(_told(process.stderr, say))
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait({watching, ended}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                raise LimitReached(watching.result())
            return Ended(await ended, await output, await errors)
        finally:
            for each in (watching, output, errors, ended):
                each.cancel()
            await asyncio.gather(watching, output, errors, ended, return_exceptions=True)

    async def _watch(self, pid: int, directories: Sequence[Path]) -> str:
        """Return what limit the command has passed, when it does."""
        limits, looks = self._limits, 0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            tree = [pid, *processes.descendants(pid)]
            if processes.held_bytes(tree, limit=limits.memory_bytes) > limits.memory_bytes:
                return f"it needed more memory than the limit of {limits.memory_bytes} bytes"
            looks += 1
            if looks % _LOOKS_FOR_SIZE == 0:
                size = await asyncio.to_thread(tree_bytes, *directories)
                if size > limits.disk_bytes:
                    return f"it needed more disk than the limit of {limits.disk_bytes} bytes"

    def _command(self, task: Task, control: int, *, jailed: bool) -> list[str]:
        python = str(self._base.python)
        filter_path = self._base.runner / f"job.{os.uname().machine}.bpf"
        inside = [
            *(python, "-I", "-S", str(_INSIDE), "proxy" if task.network and jailed else "-"),
            str(filter_path) if jailed and filter_path.exists() else "-",
            *(str(self._limits.processes if jailed else 0), str(self._limits.disk_bytes), "--"),
            *task.command,
        ]
        seen = [path if path.is_dir() else path.parent for path in (*task.readable, _INSIDE)]
        reach = [*map(str, (*self._base.roots, *seen)), *(f"+{path}" for path in task.writable)]
        if jailed:
            inside = [*self._bubblewrap(task), *inside]
        return launched(inside, control=control, user=self._user, reach=reach)

    def _bubblewrap(self, task: Task) -> list[str]:
        bwrap = bubblewrap.find_bubblewrap()
        assert bwrap is not None  # noqa: S101 - `jailed` says that it has worked
        home = task.writable[0]
        seen = [*self._base.roots, *task.readable, _INSIDE]
        return [
            bwrap,
            *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net"),
            *("--unshare-cgroup-try", "--hostname", "build", "--die-with-parent", "--new-session"),
            *bubblewrap.system(names=False),
            *("--ro-bind-try", "/etc/ssl", "/etc/ssl"),
            *("--ro-bind-try", "/etc/ca-certificates", "/etc/ca-certificates"),
            *("--proc", "/proc", "--dev", "/dev", "--size", str(_TMP_BYTES), "--tmpfs", "/tmp"),  # noqa: S108
            *(word for path in seen for word in ("--ro-bind", str(path), str(path))),
            *(word for path in task.writable for word in ("--bind", str(path), str(path))),
            "--clearenv",
            *(word for name, value in self._environ(task).items() for word in ("--setenv", name, value)),
            *("--chdir", str(home), "--remount-ro", "/", "--"),
        ]

    def _environ(self, task: Task) -> dict[str, str]:
        home = task.writable[0]
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(home / "tmp"),
            "TMPDIR": str(home / "tmp"),
            **THREADS,
            **task.environ,
        }


async def _listener(control: socket.socket) -> socket.socket | None:
    """Wait for the socket that listens inside; None if the sandbox has ended before."""
    try:
        async with asyncio.timeout(_OPEN_SECONDS):
            await readable(control.fileno())
    except TimeoutError:
        return None
    room = socket.CMSG_SPACE(array.array("i").itemsize)
    with contextlib.suppress(OSError):
        _, ancillary, _, _ = control.recvmsg(64, room, socket.MSG_CMSG_CLOEXEC)
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                return socket.socket(fileno=array.array("i", payload)[0])
    return None


async def _collected(stream: asyncio.StreamReader) -> str:
    """Return what comes, `_STDOUT_BYTES` at most."""
    data = bytearray()
    while piece := await stream.read(65536):
        data += piece[: _STDOUT_BYTES - len(data)]
    return data.decode("utf-8", "replace")


async def _told(stream: asyncio.StreamReader, say: Say) -> str:
    """Pass lines on as they come; return them all, `_STDOUT_BYTES` at most."""
    kept: list[str] = []
    size, rest = 0, b""
    while piece := await stream.read(65536):
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _LINE_BYTES:
            lines, rest = [*lines, rest], b""
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip()
            say(text)
            size += len(text)
            if size < _STDOUT_BYTES:
                kept.append(text)
    if rest:
        say(text := rest.decode("utf-8", "replace").rstrip())
        kept.append(text)
    return "\n".join(kept)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a command with all that it has started, and collect it."""
    if process.returncode is None:
        processes.kill_tree(process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    # Its transport closes the pipes; without a look at the loop it would do so after the test's end.
    await asyncio.sleep(0)
