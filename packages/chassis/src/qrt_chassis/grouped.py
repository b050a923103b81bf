"""Doing together what many ask for at once: one round trip to a store instead of one for each.

Nobody waits for company. What is asked for while nothing is under way is done at once; what is asked for
meanwhile is done next, together. So a group is as large as the load makes it, and begins after each of its
members was asked for: an answer is never older than the question.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from qrt_chassis.tasks import Tasks

A = TypeVar("A")
R = TypeVar("R")


class Grouped(Generic[A, R]):
    """Calls `action` with what was asked for, at most `most` at a time, one group after the other.

    `action` returns one answer for each, in the same order. What it raises is raised to every member of the
    group: it must be safe to ask again.
    """

    def __init__(
        self, action: Callable[[Sequence[A]], Awaitable[Sequence[R]]], *, most: int, owner: str
    ) -> None:
        self._action = action
        self._most = most
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []  # as many as callers wait
        self._tasks = Tasks(owner)
        self._busy = False

    async def ask(self, item: A) -> R:
        """Return the answer for one item. Raises: whatever `action` raises."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if not self._busy:
            self._busy = True
            self._tasks.start(self._work_off(), name="groups")
        return await answer

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._answer([each for each in group if not each[1].done()])
        finally:
            self._busy = False

    async def _answer(self, group: list[tuple[A, asyncio.Future[R]]]) -> None:
        if not group:
            return
        try:
            answers = await self._action([item for item, _ in group])
        except asyncio.CancelledError:
            for _, answer in group:
                answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked decides what it means
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), found in zip(group, answers, strict=True):
            if not answer.done():
                answer.set_result(found)
