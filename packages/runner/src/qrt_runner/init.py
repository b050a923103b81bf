"""The init of one attempt: trusted code that starts the program's process and outlives it.

In a jail it is pid 1 of the attempt's pid namespace: its death is the death of everything in it.
Without namespaces it is a child subreaper, so that what the program starts, daemons included,
stays below it, and it kills all of that before it ends.
"""

import json
import os
import resource
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from qrt_runner import ends, failures, frames, limits, namespaces, packages, program, system
from qrt_runner.ends import Ends
from qrt_runner.order import receive_order


def run_init(
    own: Ends,
    *,
    jailed: bool,
    task_class: type | None,
    confine: Callable[[], None],
    own_packages: str | None = None,
) -> NoReturn:
    """Start the program's process, wait for its end, report it, and leave nothing behind.

    `confine` is called in the program's process, last before it waits for its order. `own_packages` is
    the directory of the program's environment, if it has one of its own.
    """
    os.setsid()
    channel = socket.socket(fileno=ends.EVENTS)
    _take_orders(jailed)
    ends.redirect_streams()
    frames.send_ready(channel, directory=namespaces.OUTPUT if jailed else None)
    parent = os.getpid()
    user = os.fork()
    if user == 0:
        os.close(ends.STATUS)
        _become_user(
            own,
            channel,
            parent=parent,
            jailed=jailed,
            task_class=task_class,
            confine=confine,
            own_packages=own_packages,
        )
    channel.detach()
    own.close_all_but_status()
    _finish(user, jailed=jailed)


def _take_orders(jailed: bool) -> None:
    """SIGTERM: pass it on to the whole attempt. SIGUSR1, without a pid namespace: kill all of it."""

    def ask(*_: object) -> None:
        _signal_all(signal.SIGTERM, jailed=jailed)

    def kill(*_: object) -> None:
        _signal_all(signal.SIGKILL, jailed=jailed)

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if not jailed:
        signal.signal(signal.SIGUSR1, kill)


def _signal_all(number: signal.Signals, *, jailed: bool) -> None:
    # -1 in a pid namespace: everything in it but this process.
    targets = [-1] if jailed else system.descendants(os.getpid())
    for pid in targets:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _finish(user: int, *, jailed: bool) -> NoReturn:
    status = 0
    while True:
        pid, ended, _ = os.wait4(-1, 0)
        if pid == user:
            status = ended
            break
    if not jailed:
        _kill_the_rest()
    _report(status)
    os._exit(0)


def _kill_the_rest() -> None:
    while True:
        _signal_all(signal.SIGKILL, jailed=False)
        try:
            os.wait4(-1, 0)
        except ChildProcessError:
            return


def _report(status: int) -> None:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = {
        "status": status,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_memory_bytes": used.ru_maxrss * 1024,
    }
    os.write(ends.STATUS, json.dumps(report).encode())


def _become_user(
    own: Ends,
    channel: socket.socket,
    *,
    parent: int,
    jailed: bool,
    task_class: type | None,
    confine: Callable[[], None],
    own_packages: str | None,
) -> NoReturn:
    try:
        for fd in (ends.STDOUT, ends.STDERR, *own.cgroups):
            os.close(fd)
        _default_signals()
        os.setsid()
        system.die_with_parent(parent)
        system.prctl(system.PR_SET_DUMPABLE, 1)  # else /dev/stdout cannot be opened
        mapped = limits.mapped_bytes()
        confine()
        program.rehearse(task_class)
        order = receive_order(channel)
        limits.apply(order.settings, mapped_bytes=mapped, own_user_namespace=jailed)
        if own_packages is not None:
            packages.enter(own_packages)
    except EOFError:  # retired without having been used
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing of this process may go on as the init
        failures.report_fault(channel)
        os._exit(1)
    program.run_and_exit(order, channel, task_class)


def _default_signals() -> None:
    """Take back what the init and the zygote have changed; the rest is as a fresh Python has it."""
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
