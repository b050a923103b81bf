"""Streams go on only as long as who listens may listen: tokens end, groups and shares change meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import NoReturn, TypeVar

from qrt_chassis.passing import is_passing
from qrt_contracts.rights import Scope
from qrt_gateway.domain.accounts import Caller, require_scope
from qrt_gateway.service.watching import Watching

T = TypeVar("T")

LOOK_SECONDS = 10.0
"""How often an open stream is looked at."""


class Guard:
    """Looks whether a listener may still listen."""

    def __init__(self, watching: Watching, asking: Callable[[], Awaitable[Caller]]) -> None:
        """Take how to find out who it is, as things are then."""
        self._watching = watching
        self._asking = asking
        self._own: set[str] = set()
        """Jobs that are its own, which nobody takes away."""

    async def caller(self) -> Caller | None:
        """Return who listens, None if nobody can tell just now.

        Raises:
            NotAuthenticated, MissingScope: it may not listen any more.
        """
        try:
            caller = await self._asking()
        except Exception as error:
            if is_passing(error):
                return None
            raise
        require_scope(caller, Scope.READ)
        return caller

    async def look(self, job_id: str) -> None:
        """Return if who listens may go on to follow a job, or nobody can tell just now.

        Raises:
            NotAuthenticated, MissingScope: it may not listen to anything any more.
            NotFound: the job is not for it any more.
        """
        caller = await self.caller()
        if caller is None or job_id in self._own:
            return
        try:
            job = await self._watching.job(caller, job_id)
        except Exception as error:
            if is_passing(error):
                return
            raise
        if job.owner == caller.name:
            self._own.add(job_id)

    async def watch(self, job_id: str) -> NoReturn:
        """Look now and again, for ever; raises like `look`."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look(job_id)

    async def over(self, content: AsyncGenerator[T, None], job_id: str) -> AsyncGenerator[T, None]:
        """Yield what `content` does, looking now and again in between; raises like `look`."""
        clock = asyncio.get_running_loop().time
        due = clock() + LOOK_SECONDS
        async with aclosing(content):
            async for piece in content:
                if clock() >= due:
                    await self.look(job_id)
                    due = clock() + LOOK_SECONDS
                yield piece
