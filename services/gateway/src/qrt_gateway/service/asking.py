"""Questions that many ask at once, put once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

A = TypeVar("A")


class Asking(Generic[A]):
    """Puts questions of one kind, a bounded number at a time, and hands each answer to all who wait for it.

    An answer is shared only by those who were there before the question was put: who comes while it is
    on its way gets the next one, so that nobody is told what was true before they asked.
    """

    def __init__(self, *, at_once: int) -> None:
        """Have up to `at_once` questions on their way; the others wait, and gather those who ask the same."""
        self._room = asyncio.Semaphore(at_once)
        self._coming: dict[Hashable, asyncio.Task[A]] = {}
        self._under_way: dict[Hashable, asyncio.Task[A]] = {}

    async def ask(self, key: Hashable, question: Callable[[], Awaitable[A]]) -> A:
        """Return the answer to `question`, or to the same one of somebody else: the same by its `key`.

        Raises whatever the question raises, to all who share it.
        """
        coming = self._coming.get(key)
        if coming is None:
            coming = asyncio.create_task(self._put(key, question, self._under_way.get(key)))
            coming.add_done_callback(_seen)
            self._coming[key] = coming
        return await asyncio.shield(coming)  # who leaves takes the answer from nobody

    async def _put(
        self, key: Hashable, question: Callable[[], Awaitable[A]], before: asyncio.Task[A] | None
    ) -> A:
        if before is not None:
            await asyncio.wait({before})
        async with self._room:
            task = self._under_way[key] = self._coming.pop(key)
            try:
                return await question()
            finally:
                if self._under_way.get(key) is task:
                    del self._under_way[key]


def _seen(task: asyncio.Task[A]) -> None:
    """Note an error as seen: all who waited for the answer may have left."""
    if not task.cancelled():
        task.exception()
