"""Run one program, whatever its kind, and report what came of it.

This runs in the program's own process, so everything it reports is only a claim.
"""

import gc
import os
import socket
import tempfile
from typing import Any, NoReturn

from qrt_runner import failures, frames, module, template
from qrt_runner.order import Order, flush


def rehearse(task_class: type | None) -> None:
    """Go through the motions once, before there is an order.

    A forked process copies each page of the zygote at its first touch; touched here, while it waits,
    those of a program's start cost the program nothing. Where there is quafu the next program is most
    likely one for it; touching what only the others need would cost each of them twice as much as it saves.
    """
    module.rehearse(task_class)
    if task_class is None:
        template.rehearse()


def run_and_exit(order: Order, channel: socket.socket, task_class: type | None) -> NoReturn:
    """Run the program and end this process; never returns, whatever the program does."""
    owner = os.getpid()
    status = 1
    try:
        _settle_in(order.settings)
    except BaseException:  # noqa: BLE001 - whatever it is, it is no fault of the program's
        failures.report_fault(channel)
        os._exit(status)
    try:
        status = _attempt(order, channel, task_class, owner)
    finally:
        os._exit(status)


def _attempt(order: Order, channel: socket.socket, task_class: type | None, owner: int) -> int:
    try:
        text = _result(order, channel, task_class)
        flush()
        if os.getpid() == owner:
            frames.send(channel, frames.Frame.RESULT, text)
    except BaseException as exc:  # noqa: BLE001 - a program may raise anything, SystemExit included
        flush()
        if os.getpid() == owner:
            failures.report(channel, exc, project=order.settings["work"])
        return failures.exit_status(exc)
    return 0


def _result(order: Order, channel: socket.socket, task_class: type | None) -> bytes:
    if order.settings["kind"] == "template":
        return template.result(order)
    return module.result(order, channel, task_class)


def _settle_in(settings: dict[str, Any]) -> None:
    os.chdir(settings["work"])
    os.environ.update(settings["environ"])
    os.environ.update(
        HOME=settings["work"],
        TMPDIR=settings["tmp"],
        INPUT_DIRECTORY=settings["input"],
        OUTPUT_DIRECTORY=settings["output"],
    )
    tempfile.tempdir = None
    gc.enable()
