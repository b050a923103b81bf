"""Wait for what a test expects, never for time to pass."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

PAUSE_SECONDS = 0.01


async def wait_until(
    predicate: Callable[[], object] | Callable[[], Awaitable[object]],
    *,
    description: str,
    seconds: float = 10.0,
) -> None:
    """Return once `predicate`, plain or async, is true.

    Raises:
        AssertionError: it was not within `seconds`; the text holds `description`.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {description}")
        await asyncio.sleep(PAUSE_SECONDS)
