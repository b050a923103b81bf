"""The loop runner: keeps a service's loops alive."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from qrt_chassis import metrics
from qrt_chassis.backoff import Backoff
from qrt_chassis.passing import is_passing

log = logging.getLogger(__name__)

Loop = Callable[[], Awaitable[None]]
"""Runs until it is cancelled."""

_HEALTHY_SECONDS = 30.0
"""A loop that ran this long before it died is restarted after the shortest pause again."""


async def run_for_ever(service: str, name: str, loop: Loop) -> None:
    """Run `loop`, again and again: its death is logged, counted and followed by a growing pause."""
    backoff = Backoff(first=0.1, longest=10.0)
    while True:
        started = time.monotonic()
        try:
            await loop()
            log.error("loop %s of %s returned; it should run until it is cancelled", name, service)
        except Exception as error:  # whatever a loop dies of, it is reported and restarted
            if is_passing(error):
                log.warning("loop %s of %s is held up: %r", name, service, error)
            else:
                log.exception("loop %s of %s died", name, service)
        metrics.LOOP_DEATHS.labels(service, name).inc()
        if time.monotonic() - started > _HEALTHY_SECONDS:
            backoff.reset()
        await asyncio.sleep(backoff.next())
