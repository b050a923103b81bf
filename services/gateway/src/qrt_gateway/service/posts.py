"""Starting a job twice by one request: prevented where the client could not know of the first time.

A client that is told of an error, or loses its connection, sends the same request again by itself.
Two equal requests that were each answered are two jobs. So every such request is written down before
its job is queued, together with the id that job will have, and crossed out once its answer is on its
way. What a crash or an error leaves behind is taken up by the next equal request of the same token.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from qrt_chassis.passing import is_passing
from qrt_contracts.faults import RuntimeFault
from qrt_contracts.ids import new_id
from qrt_gateway.domain.posts import ANSWERED_SECONDS, WINDOW, Answered, Connection, Post
from qrt_gateway.ports import Clock, PostStore

log = logging.getLogger(__name__)

CONNECTION = "qrt.connection"
"""Extension of a request's ASGI scope: `state` is the `Connection` it came on."""
SWEEP_SECONDS = 30.0
REMEMBERED = 10_000
"""Answered requests; the oldest are forgotten first."""


class Posts:
    """The requests of one gateway replica that start jobs."""

    def __init__(self, store: PostStore, *, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._gateway = new_id()
        self._open: dict[str, Connection] = {}
        self._answered: OrderedDict[str, Answered] = OrderedDict()
        self._jobs: dict[str, set[str]] = {}
        """Answered jobs by the key of their requests."""

    def now(self) -> float:
        """Return the time by which requests arrive."""
        return self._monotonic()

    async def begin(self, key: str, connection: Connection, *, retrying: bool, arrived: float) -> Post:
        """Write a request down; the job to queue is the one it names, for a repeat the first one's."""
        post = await self._again(key, retrying=retrying, arrived=arrived)
        if post is None:
            post = Post(job_id=new_id(), key=key, gateway=self._gateway, at=self._clock())
            await self._store.put(post)
        self._open[post.job_id] = connection
        return post

    async def refused(self, post: Post) -> None:
        """Cross out a request that has made no job and was answered so."""
        await self._store.remove(post)
        self._open.pop(post.job_id, None)

    async def unanswered(self, post: Post) -> None:
        """Keep a request for its repeat: its client learns of an error, or nothing."""
        self._open.pop(post.job_id, None)
        await self._store.unanswered(post)

    async def answered(self, post: Post, connection: Connection, *, retrying: bool) -> None:
        """Cross out a request whose answer is on its way. Never raises for want of a store."""
        try:
            if connection.closed:
                await self.unanswered(post)
                return
            self._remember(post, connection, retrying=retrying)
            await self._store.remove(post)
        except Exception as error:
            if not isinstance(error, RuntimeFault) and not is_passing(error):
                raise
            log.warning("a request that started job %s stays written down: %r", post.job_id, error)
        finally:
            self._open.pop(post.job_id, None)

    def known(self, job_id: str) -> None:
        """Note that a client has named a job: it has read the answer that told it of it."""
        if each := self._answered.pop(job_id, None):
            jobs = self._jobs[each.post.key]
            jobs.discard(job_id)
            if not jobs:
                del self._jobs[each.post.key]

    async def sweep(self) -> None:
        """Forget what is too old to be repeated, for ever."""
        while True:
            await self._store.forget(self._clock() - 2 * WINDOW)
            await asyncio.sleep(SWEEP_SECONDS)

    async def _again(self, key: str, *, retrying: bool, arrived: float) -> Post | None:
        """Return the request of before that this one repeats, taken over; None if it is a new one."""
        if (lost := self._lost(key, retrying=retrying, arrived=arrived)) is not None:
            again = replace(lost, gateway=self._gateway, at=self._clock(), turn=lost.turn + 1)
            await self._store.put(again)
            return again
        now = self._clock()
        for post in await self._store.like(key):
            mine = self._open.get(post.job_id)
            if mine is not None and not mine.closed:
                continue  # somebody waits for its answer at this very moment
            if mine is None and not post.repeatable(gateway=self._gateway, now=now):
                continue
            if (taken := await self._store.take(post, gateway=self._gateway, now=now)) is not None:
                log.info("job %s is asked for again by a client that got no answer", post.job_id)
                return taken
        return None

    def _lost(self, key: str, *, retrying: bool, arrived: float) -> Post | None:
        for job_id in self._jobs.get(key, ()):
            each = self._answered[job_id]
            if each.lost(by_retrying=retrying, arrived=arrived):
                each.repeats += 1
                return each.post
        return None

    def _remember(self, post: Post, connection: Connection, *, retrying: bool) -> None:
        before, now = self._answered.get(post.job_id), self._monotonic()
        repeats = before.repeats if before else 0
        self.known(post.job_id)
        self._answered[post.job_id] = Answered(
            post=post, connection=connection, retrying=retrying, at=now, repeats=repeats
        )
        self._jobs.setdefault(post.key, set()).add(post.job_id)
        while len(self._answered) > REMEMBERED or self._oldest().at < now - ANSWERED_SECONDS:
            self.known(self._oldest().post.job_id)

    def _oldest(self) -> Answered:
        return next(iter(self._answered.values()))
