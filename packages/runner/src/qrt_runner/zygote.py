"""The zygote of one program environment: imports once, then forks a parked attempt per request.

Run by path with the environment's own Python, isolated (`-I`); its control socket is descriptor 3.
Its arguments are the isolation level, then `--packages DIRECTORY` where programs have packages of their
own, and at `landlock` the directories that they may read. It never runs a program's code itself. One
request is one SOCK_SEQPACKET message with the attempt's descriptors: `{"own": directory}`, or at `jail`
`{"disk_bytes": n, "network": bool, "host_network": bool}`; `host_network` says that the zygote's network
is the host's. It answers on the attempt's own event socket, never here.
"""

import array
import importlib.util
import json
import os
import select
import signal
import socket
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from qrt_runner.ends import Ends
    from qrt_runner.jails import Jails

CONTROL = 3
_PACKAGES = "--packages"
_BARE = "QRT_BARE_ZYGOTE"
_MAX_DESCRIPTORS = 12


def _load_package() -> None:
    """Make this file's package importable without putting its folder on `sys.path`.

    The folder may be a service's site-packages, which no program may see.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    spec = importlib.util.spec_from_file_location(
        "qrt_runner", os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    assert spec is not None  # noqa: S101 - a path with the suffix .py always has a spec
    assert spec.loader is not None  # noqa: S101
    package = importlib.util.module_from_spec(spec)
    sys.modules["qrt_runner"] = package
    spec.loader.exec_module(package)


def main(arguments: list[str]) -> int:
    """Warm up, say so, and serve until the executor closes the control socket."""
    level, own_packages, readable = _told(arguments)
    control = socket.socket(fileno=CONTROL)
    control.set_inheritable(False)
    try:
        zygote = _warm(control, level=level, readable=readable, own_packages=own_packages)
    except Exception:  # noqa: BLE001 - the executor reports whatever it was
        control.send(json.dumps({"error": traceback.format_exc()[-8000:]}).encode())
        return 1
    control.send(json.dumps({"ready": os.getpid()}).encode())
    zygote.serve()
    return 0


def _told(arguments: list[str]) -> tuple[str, str | None, list[str]]:
    level, rest = arguments[1], arguments[2:]
    if rest[:1] == [_PACKAGES]:
        return level, rest[1], rest[2:]
    return level, None, rest


def _warm(control: socket.socket, *, level: str, readable: list[str], own_packages: str | None) -> "Zygote":
    # All of them loaded before the first fork.
    from qrt_runner import ends, heap, init, jails, landlock, packages, program, seeds, system, warmup  # noqa: F401

    if level == "landlock":
        landlock.check()
    jailed = level == "jail"
    if not jailed:
        system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
        system.prctl(system.PR_SET_CHILD_SUBREAPER, 1)
    system.prctl(system.PR_SET_DUMPABLE, 0)
    system.fresh_signals()
    task_class = None
    if own_packages is None:
        task_class = warmup.warm_up()
    elif _BARE not in os.environ and not packages.preload(own_packages):
        _start_again_bare(control)
    sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    # What is made at its first use is made here, not in every fork.
    program.rehearse(task_class)
    seeds.differ()
    heap.settle()
    return Zygote(
        control,
        level=level,
        jails=jails.Jails() if jailed else None,
        readable=readable,
        task_class=task_class,
        own_packages=own_packages,
    )


def _start_again_bare(control: socket.socket) -> NoReturn:
    """Become a zygote that imports no package: one of them has started threads, and forking is not safe."""
    control.set_inheritable(True)
    os.environ[_BARE] = "1"
    os.execv(sys.orig_argv[0], sys.orig_argv)  # noqa: S606 - itself


class Zygote:
    """Forks attempts and sees to their ends; without a pid namespace it kills what lost its init."""

    def __init__(
        self,
        control: socket.socket,
        *,
        level: str,
        jails: "Jails | None",
        readable: list[str],
        task_class: type | None,
        own_packages: str | None = None,
    ) -> None:
        self._control = control
        self._level = level
        self._jails = jails
        self._readable = readable
        self._task_class = task_class
        self._own_packages = own_packages
        self._ids = os.getuid(), os.getgid()
        self._filter = b"" if level == "process" else _filter()
        self._inits: set[int] = set()

    def serve(self) -> None:
        """Answer spawn requests until the control socket is closed."""
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if wake.fileno() in ready:
                wake.recv(4096)
                self._reap()
            if self._control.fileno() in ready and not self._answer():
                return

    def _answer(self) -> bool:
        room = socket.CMSG_SPACE(_MAX_DESCRIPTORS * array.array("i").itemsize)
        data, ancillary, flags, _ = self._control.recvmsg(4096, room)
        received = array.array("i")
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
        if not data:
            return False
        if not flags & socket.MSG_CTRUNC:
            self._spawn(json.loads(data), list(received))
        for fd in received:
            os.close(fd)
        return True

    def _spawn(self, request: dict[str, Any], received: list[int]) -> None:
        """Fork an attempt. If that cannot be, its descriptors are closed, which tells the executor."""
        zygote = os.getpid()
        try:
            pid, keeper = self._forked(request, received)
        except OSError:  # too many processes, say: no reason to end what runs
            traceback.print_exc()
            return
        if pid == 0:
            self._become_attempt(request, received, zygote=zygote, keeper=keeper)

    def _forked(self, request: dict[str, Any], received: list[int]) -> tuple[int, int]:
        """Return a new process's pid, 0 in itself, and its keeper's pidfd, -1 without a jail."""
        from qrt_runner import ends

        if self._jails is None:
            pid = os.fork()
            self._inits.add(pid)
            return pid, -1
        fork = self._jails.fork(
            pipe=received[ends.STATUS - ends.EVENTS],
            hidden_network=request["host_network"] and not request["network"],
        )
        return fork.program, fork.keeper.pidfd

    def _become_attempt(
        self, request: dict[str, Any], received: list[int], *, zygote: int, keeper: int
    ) -> NoReturn:
        try:
            from qrt_runner import ends

            signal.set_wakeup_fd(-1)
            own = ends.take(received, keeper=keeper)
            if keeper >= 0:
                self._become_jail(own, request)
            self._become_process(own, request, zygote)
        except BaseException:  # noqa: BLE001 - a child must never return into the zygote's loop
            traceback.print_exc()
        finally:
            os._exit(1)

    def _become_jail(self, own: "Ends", request: dict[str, Any]) -> NoReturn:
        from qrt_runner import jails, system

        jails.become(
            own,
            ids=self._ids,
            disk_bytes=request["disk_bytes"],
            network=request["network"],
            task_class=self._task_class,
            confine=lambda: system.load_filter(self._filter),
            own_packages=self._own_packages,
        )

    def _become_process(self, own: "Ends", request: dict[str, Any], zygote: int) -> NoReturn:
        from qrt_runner import ends, init, system

        ends.join(own)
        system.prctl(system.PR_SET_CHILD_SUBREAPER, 1)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        system.die_with_parent(zygote, by=signal.SIGUSR1)
        init.run_init(
            own,
            task_class=self._task_class,
            confine=lambda: self._confine(request),
            own_packages=self._own_packages,
        )

    def _confine(self, request: dict[str, Any]) -> None:
        """Confine a program's process at the levels without namespaces; `process` has nothing."""
        from qrt_runner import landlock, system

        if self._level == "landlock":
            landlock.confine(readable=self._readable, own=request["own"])
            system.load_filter(self._filter)

    def _reap(self) -> None:
        """Collect ended children; kill the orphans of an init that was killed from below."""
        while self._wait_for_one():
            pass
        if self._jails is not None:
            return
        from qrt_runner import system

        for pid in system.children(os.getpid()):
            if pid not in self._inits:
                os.kill(pid, signal.SIGKILL)

    def _wait_for_one(self) -> bool:
        try:
            pid, status, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if self._jails is not None:
            self._jails.ended(pid, status, used)
        self._inits.discard(pid)
        return pid != 0


def _filter() -> bytes:
    from qrt_runner import namespaces

    return namespaces.filter_program()


if __name__ == "__main__":
    _load_package()
    sys.exit(main(sys.argv))
