"""The program's process, from its fork to its order: what every isolation level does alike."""

import os
import select
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from qrt_runner import failures, limits, packages, program, seeds, system
from qrt_runner.order import receive_order


def park(
    channel: socket.socket,
    *,
    own_user_namespace: bool,
    task_class: type | None,
    confine: Callable[[], None],
    own_packages: str | None,
) -> NoReturn:
    """Wait for the order and run it; never returns.

    `confine` is called last before anything of the program is here. `own_packages` is the directory of
    the program's environment, if it has one of its own.
    """
    try:
        system.prctl(system.PR_SET_DUMPABLE, 1)  # else /dev/stdout cannot be opened
        mapped = limits.mapped_bytes()
        confine()
        seeds.differ()
        if not _is_ordered(channel):
            program.rehearse(task_class)
        order = receive_order(channel)
        limits.apply(order.settings, mapped_bytes=mapped, own_user_namespace=own_user_namespace)
        if own_packages is not None:
            packages.enter(own_packages)
    except EOFError:  # retired without having been used
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing of this process may go on as its parent
        failures.report_fault(channel)
        os._exit(1)
    program.run_and_exit(order, channel, task_class)


def _is_ordered(channel: socket.socket) -> bool:
    """Tell whether the order is there already: then somebody waits, and a rehearsal would only delay it."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(0))


def default_signals() -> None:
    """Take back what the zygote, or an init, has changed; the rest is as a fresh Python has it."""
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
