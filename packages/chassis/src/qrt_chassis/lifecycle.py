"""How a service runs: its loops, its health, its orderly end."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import uvloop

from qrt_chassis.health import Health, Ping, health_server
from qrt_chassis.logging import configure
from qrt_chassis.loops import Loop, run_for_ever
from qrt_chassis.settings import HealthSettings, ServiceSettings, SettingsError, load
from qrt_chassis.tasks import Tasks
from qrt_chassis.tracing import TracingMissing, traced

__all__ = ["Loop", "Ping", "Service", "run_async", "run_main", "serve", "set_heap_aside"]

log = logging.getLogger(__name__)

T = TypeVar("T", bound=ServiceSettings)
R = TypeVar("R")

GRACE = timedelta(seconds=30)
"""How long a service may take to drain, unless its caller says otherwise."""

_EXIT_BAD_SETTINGS = 2

_YOUNG_OBJECTS = 20_000
"""So many more than were freed are made between two collections; a message makes some hundreds."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A composed service: what must run for it to do its work.

    `loops` run until they are cancelled; one that raises or returns is started again. `pings`
    are its dependencies: each returns if the dependency answers and raises otherwise. `drain`
    takes no new work and waits for what is in hand.
    """

    name: str
    loops: Mapping[str, Loop] = field(default_factory=dict)
    pings: Mapping[str, Ping] = field(default_factory=dict)
    drain: Callable[[], Awaitable[None]] | None = None
    grace: timedelta = GRACE
    """How long draining may take; then what is in hand is given up."""


async def serve(
    services: Sequence[Service],
    *,
    health: HealthSettings,
    stop: asyncio.Event,
    grace: timedelta | None = None,
) -> None:
    """Run `services` until `stop` is set, then end them in order within `grace`, or the longest of theirs.

    The order: not ready any more, drain, cancel the loops, close the health endpoints. What a
    service stands on (bus, store) is open until this has returned.

    Raises:
        OSError: the health endpoints cannot be bound.
    """
    state = Health({service.name: service.pings for service in services})
    loops = Tasks("loops")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(health_server(health, state))
        stack.push_async_callback(loops.close)
        for service in services:
            for name, loop in service.loops.items():
                loops.start(run_for_ever(service.name, name, loop), name=f"{service.name} {name}")
        log.info("running: %s", ", ".join(service.name for service in services))
        await stop.wait()
        state.stopping = True
        await _drain(services, grace or max(service.grace for service in services))
        log.info("drained; ending the loops")
    log.info("stopped")


async def _drain(services: Sequence[Service], grace: timedelta) -> None:
    drains = [service.drain() for service in services if service.drain is not None]
    try:
        async with asyncio.timeout(grace.total_seconds()):
            ends = await asyncio.gather(*drains, return_exceptions=True)
    except TimeoutError:
        log.warning("not drained after %s; work in hand is given up", grace)
        return
    for error in ends:
        if isinstance(error, Exception):
            log.error("draining failed", exc_info=error)


def run_async(main: Coroutine[Any, Any, R]) -> R:
    """Run a process's main coroutine, on the event loop that spends least on sockets and timers."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def set_heap_aside() -> None:
    """Spare the garbage collector what a process has loaded by now and holds until its end.

    Each full collection would look through all of it, tens of milliseconds in which no message moves.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)


def run_main(
    name: str,
    settings_cls: type[T],
    prefix: str,
    compose: Callable[[T], AbstractAsyncContextManager[Service]],
) -> None:
    """Run one service as a process: the body of its `__main__`.

    SIGTERM and SIGINT end it in order; a second one ends it at once. Exits with 2, and the reason
    on stderr, when the environment does not make valid settings.
    """
    try:
        settings = load(settings_cls, os.environ, prefix=prefix)
    except SettingsError as error:
        sys.stderr.write(f"{name}: {error}\n")
        raise SystemExit(_EXIT_BAD_SETTINGS) from None
    configure(name, settings.log_level)
    try:
        with traced(name, settings.traces_url):
            run_async(_main(settings, compose))
    except TracingMissing as error:
        sys.stderr.write(f"{name}: {error}\n")
        raise SystemExit(_EXIT_BAD_SETTINGS) from None


async def _main(settings: T, compose: Callable[[T], AbstractAsyncContextManager[Service]]) -> None:
    stop = _stop_on_signals()
    async with compose(settings) as service:
        set_heap_aside()
        await serve([service], health=settings.health, stop=stop)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin_to_stop() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, begin_to_stop)
    return stop
