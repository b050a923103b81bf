"""Doing a thing until it works, where giving up would lose something."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qrt_chassis.backoff import Backoff
from qrt_chassis.passing import is_passing

log = logging.getLogger(__name__)

T = TypeVar("T")


async def patiently(action: Callable[[], Awaitable[T]], *, what: str) -> T:
    """Return what `action` returns, trying again after each passing fault for as long as it takes.

    `action` must be safe to repeat. `what` names it in the log. The caller's own cancellation or
    deadline is what bounds this.

    Raises:
        Exception: whatever `action` raises that does not pass by itself.
    """
    backoff = Backoff()
    while True:
        try:
            return await action()
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("%s has to wait: %r", what, error)
        await asyncio.sleep(backoff.next())
