"""The jails of a zygote: forked, and their ends reported.

A jail has two processes in a pid namespace of its own. Pid 1 is its keeper: it shares the zygote's memory, so
that it costs next to nothing, runs no Python, collects orphans and sleeps; its death is the death of all that
is in the jail. Pid 2 is a fork of the zygote: it furnishes the jail, gives up every right and becomes the
program's process. It is the zygote's child: the zygote sees how it ends, writes that to its status pipe and
kills the keeper. Once the keeper is dead, everything in the jail is.
"""

import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from qrt_runner import ends, frames, namespaces, parked, status, system
from qrt_runner.sleeper import Sleeper

_EXITING = 0x4
"""PF_EXITING, among the kernel's flags of a process."""


@dataclass(frozen=True)
class Fork:
    """A jail's two processes, as their zygote sees them."""

    program: int
    """The pid of the one that will run the program; 0 in itself."""
    keeper: Sleeper


class Jails:
    """Forks jails and reports their ends, for a zygote that may make namespaces and has one thread."""

    def __init__(self) -> None:
        self._home = os.open("/proc/self/ns/pid", os.O_RDONLY)
        self._living: dict[int, tuple[Sleeper, int]] = {}
        self._dying: dict[int, Sleeper] = {}

    def fork(self, *, pipe: int, hidden_network: bool) -> Fork:
        """Fork a jail whose end is to be written to `pipe`. Returns in both processes. Raises OSError.

        `hidden_network`: the zygote's network is none of the program's business. What a process's network
        is doing can be read below /proc by all who see the process, so the keeper gets another.
        """
        held = os.dup(pipe)
        pid = -1
        try:
            system.unshare(namespaces.NEWPID)
            try:
                keeper = Sleeper(new=namespaces.NEWNET if hidden_network else 0)
                try:
                    # Signals that it blocks would queue up, at the expense of all processes of the user.
                    resource.prlimit(keeper.pid, resource.RLIMIT_SIGPENDING, (0, 0))
                    pid = os.fork()
                finally:
                    if pid < 0:
                        self._kill(keeper)
            finally:
                if pid != 0:
                    self._go_home()
        finally:
            if pid < 0:
                os.close(held)
        if pid != 0:
            self._living[pid] = keeper, held
        return Fork(pid, keeper)

    def _go_home(self) -> None:
        """Have children made in this process's own pid namespace again; without that it must not go on."""
        try:
            system.setns(self._home, namespaces.NEWPID)
        except OSError as exc:
            raise SystemExit(f"the zygote cannot return to its pid namespace: {exc}") from exc

    def ended(self, pid: int, wait_status: int, used: resource.struct_rusage) -> None:
        """Take in that a child of the zygote has ended, with what wait4(2) says of it."""
        self._dying.pop(pid, None)
        if pid not in self._living:
            return
        keeper, pipe = self._living.pop(pid)
        killed = os.WIFSIGNALED(wait_status) and os.WTERMSIG(wait_status) == signal.SIGKILL
        with contextlib.suppress(BrokenPipeError):  # the executor has given the attempt up
            status.report(pipe, wait_status, used, with_keeper=killed and _is_exiting(keeper.pid))
        os.close(pipe)
        self._kill(keeper)

    def _kill(self, keeper: Sleeper) -> None:
        self._dying[keeper.pid] = keeper  # its stack is in use until it is dead
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(keeper.pidfd, signal.SIGKILL)
        os.close(keeper.pidfd)


def become(
    own: ends.Ends,
    *,
    ids: tuple[int, int],
    disk_bytes: int,
    network: bool,
    task_class: type | None,
    confine: Callable[[], None],
    own_packages: str | None,
) -> NoReturn:
    """In the second process of a jail: furnish it, report that it is ready, and wait for a program.

    `ids` are the zygote's uid and gid. For the others see `parked.park`.
    """
    ends.join(own)
    namespaces.furnish(disk_bytes=disk_bytes)
    namespaces.settle(*ids, network=network)
    os.setsid()
    parked.default_signals()
    ends.redirect_streams()
    channel = socket.socket(fileno=ends.EVENTS)
    output, itself = os.open(namespaces.OUTPUT, os.O_RDONLY | os.O_DIRECTORY), os.pidfd_open(os.getpid())
    frames.send_ready(channel, own.keeper, itself, output)
    os.close(output)
    os.close(itself)
    own.close_all_but_events()
    parked.park(
        channel, own_user_namespace=True, task_class=task_class, confine=confine, own_packages=own_packages
    )


def _is_exiting(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        flags = stat.read().rpartition(")")[2].split()[6]
    return bool(int(flags) & _EXITING)
