"""Calls to the artifact store that are repeated while it is away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qrt_chassis.backoff import Backoff
from qrt_chassis.passing import is_passing

log = logging.getLogger(__name__)

T = TypeVar("T")


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Call until the artifact store answers, for as long as it is away."""
    backoff = Backoff(first=0.1, longest=2.0)
    while True:
        try:
            return await call()
        except Exception as exc:
            if not is_passing(exc):
                raise
            log.warning("the artifact store does not answer yet: %s", exc)
        await asyncio.sleep(backoff.next())
