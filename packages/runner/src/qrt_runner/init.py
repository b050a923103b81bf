"""The init of one attempt without namespaces: it starts the program's process and outlives it.

It is a child subreaper, so that what the program starts, daemons included, stays below it, and it kills
all of that before it ends. A jail has a keeper instead (`jails`).
"""

import os
import resource
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from qrt_runner import ends, failures, frames, parked, status, system


def run_init(
    own: ends.Ends,
    *,
    task_class: type | None,
    confine: Callable[[], None],
    own_packages: str | None,
) -> NoReturn:
    """Start the program's process, wait for its end, report it, and leave nothing behind.

    For the arguments see `parked.park`.
    """
    os.setsid()
    channel = socket.socket(fileno=ends.EVENTS)
    _take_orders()
    ends.redirect_streams()
    frames.send_ready(channel)
    parent = os.getpid()
    user = os.fork()
    if user == 0:
        _become_user(own, channel, parent, task_class=task_class, confine=confine, own_packages=own_packages)
    channel.detach()
    own.close_all_but_status()
    _finish(user)


def _take_orders() -> None:
    """SIGTERM: pass it on to the whole attempt. SIGUSR1: kill all of it."""
    signal.signal(signal.SIGTERM, lambda *_: _signal_all(signal.SIGTERM))
    signal.signal(signal.SIGUSR1, lambda *_: _signal_all(signal.SIGKILL))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _signal_all(number: signal.Signals) -> None:
    for pid in system.descendants(os.getpid()):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _finish(user: int) -> NoReturn:
    wait_status = 0
    while True:
        pid, ended, _ = os.wait4(-1, 0)
        if pid == user:
            wait_status = ended
            break
    _kill_the_rest()
    status.report(ends.STATUS, wait_status, resource.getrusage(resource.RUSAGE_CHILDREN))
    os._exit(0)


def _kill_the_rest() -> None:
    while True:
        _signal_all(signal.SIGKILL)
        try:
            os.wait4(-1, 0)
        except ChildProcessError:
            return


def _become_user(
    own: ends.Ends,
    channel: socket.socket,
    parent: int,
    *,
    task_class: type | None,
    confine: Callable[[], None],
    own_packages: str | None,
) -> NoReturn:
    try:
        own.close_all_but_events()
        parked.default_signals()
        os.setsid()
        system.die_with_parent(parent)
    except BaseException:  # noqa: BLE001 - nothing of this process may go on as the init
        failures.report_fault(channel)
        os._exit(1)
    parked.park(
        channel, own_user_namespace=False, task_class=task_class, confine=confine, own_packages=own_packages
    )
