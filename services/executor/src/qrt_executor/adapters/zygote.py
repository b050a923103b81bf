"""One zygote process, seen from the executor: started, asked for attempts, watched."""

import array
import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qrt_contracts.values import Isolation
from qrt_executor.adapters.descriptors import close_all, is_readable, readable
from qrt_executor.adapters.launcher import launched

log = logging.getLogger(__name__)

_START_SECONDS = 60.0


class ZygoteFailed(Exception):
    """A zygote could not be started, or has ended."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The executor's ends of one attempt's channels."""

    events: socket.socket
    stdout: int
    stderr: int
    status: int

    def close(self) -> None:
        """Close all of them, for an attempt that will not come to be."""
        self.events.close()
        close_all(self.stdout, self.stderr, self.status)


class Zygote:
    """A running zygote. Whoever started it closes it."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, *, level: Isolation) -> None:
        self._process = process
        self._control = control
        self._pidfd = os.pidfd_open(process.pid)
        self._closed = False
        self.level = level
        self.attempts = 0
        """Sandboxes forked from it that are not closed yet."""

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        level: Isolation,
        environ: dict[str, str],
        reach: Sequence[Path],
        user: tuple[int, int],
    ) -> "Zygote":
        """Start a zygote by way of the launcher, and wait until it serves.

        The death signal of the launcher is bound to the calling thread: call this in the main one.

        Raises:
            ZygoteFailed: it ended, reported an error, or was silent too long.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            # A blocking fork and exec, of a few ms: its death signal needs this very thread.
            process = subprocess.Popen(  # noqa: S603, ASYNC220
                launched(command, control=theirs.fileno(), user=user, reach=map(str, reach)),
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd="/",
            )
        try:
            await _greeting(ours)
        except BaseException:
            ours.close()
            process.kill()
            process.wait()
            raise
        return cls(process, ours, level=level)

    async def spawn(self, request: Mapping[str, Any], *, extra: Sequence[int] = ()) -> Ends:
        """Ask for one attempt; `extra` are `cgroup.procs` files for it to join. Raises ZygoteFailed."""
        events, events_theirs = socket.socketpair()
        events.setblocking(False)
        events.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        (out, out_theirs), (err, err_theirs), (status, status_theirs) = os.pipe(), os.pipe(), os.pipe()
        ends = Ends(events, out, err, status)
        given = [events_theirs.fileno(), out_theirs, err_theirs, status_theirs, *extra]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))]
        try:
            self._control.sendmsg([json.dumps(request).encode()], rights)
        except OSError as exc:
            ends.close()
            raise ZygoteFailed(f"the zygote does not take requests: {exc}") from exc
        finally:
            events_theirs.close()
            close_all(out_theirs, err_theirs, status_theirs)
        return ends

    @property
    def alive(self) -> bool:
        """It serves, as far as can be seen."""
        return not self._closed and not is_readable(self._pidfd)

    async def ended(self) -> None:
        """Return when the zygote is dead."""
        await readable(self._pidfd)

    def kill(self) -> None:
        """SIGKILL it, and with it all its attempts."""
        if self._closed:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def close(self) -> None:
        """End it: by closing its control socket, then by force. Its attempts end with it. Idempotent."""
        if self._closed:
            return
        self._control.close()
        self.kill()
        try:
            async with asyncio.timeout(5):
                await self.ended()
        except TimeoutError:
            log.error("zygote %d does not die", self._process.pid)  # noqa: TRY400
        finally:
            self._closed = True
            os.close(self._pidfd)
            self._reap()

    def _reap(self) -> None:
        """Collect the killed process, also when the wait for its death was cancelled."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)


async def _greeting(control: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_START_SECONDS):
            data = await loop.sock_recv(control, 65536)
    except TimeoutError:
        raise ZygoteFailed(f"the zygote did not report within {_START_SECONDS:.0f} s") from None
    if not data:
        raise ZygoteFailed("the zygote ended before it served; its own output says why")
    greeting = json.loads(data)
    if "ready" not in greeting:
        raise ZygoteFailed(f"the zygote cannot serve: {greeting.get('error')}")
