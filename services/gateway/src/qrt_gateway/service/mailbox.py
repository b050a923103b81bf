"""What a listener has not looked at yet: bounded, and honest about what it lost."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from qrt_contracts.events import JobChanged, JobOutput
from qrt_gateway import metrics
from qrt_gateway.service.frames import SharedFrame

MAX_MESSAGES = 512
MAX_CHARACTERS = 2 << 20
"""Bounds of what waits for one listener. One message may pass the second bound alone."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive outputs and the frame they make, one object for all listeners of the job."""

    message: JobOutput
    frame: SharedFrame
    size: int
    """Characters of data."""

    @property
    def first(self) -> int:
        """The number of its first output."""
        return self.message.outputs[0].number

    @property
    def last(self) -> int:
        """The number of its last output."""
        return self.message.outputs[-1].number


def batch_of(message: JobOutput) -> Batch:
    """Return a message with its frame."""
    frame = SharedFrame(job_id=message.job_id, attempt=message.attempt, outputs=message.outputs)
    return Batch(message, frame, sum(len(each.data) for each in message.outputs))


News = JobChanged | Batch


class Mailbox:
    """News for one listener, in order. A listener too slow for it loses all of it and is told."""

    def __init__(self) -> None:
        self.at_once: Callable[[Batch], bool] | None = None
        """Deals with a live message without waking the listener, if it can; set while it waits."""
        self._waiting: deque[News] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._missed = False
        self.closed = False
        """No more news will come: the gateway is stopping."""

    def put(self, news: News) -> None:
        """Add news; past the bounds, drop everything instead."""
        if self._passed_on(news):
            return
        size = news.size if isinstance(news, Batch) else 0
        if self._waiting and (len(self._waiting) >= MAX_MESSAGES or self._size + size > MAX_CHARACTERS):
            metrics.OVERFLOWS.inc()
            self.miss()
            return
        self._waiting.append(news)
        self._size += size
        self._wake.set()

    def _passed_on(self, news: News) -> bool:
        if self.at_once is None or self._waiting or self._missed or not isinstance(news, Batch):
            return False
        return self.at_once(news)

    def miss(self) -> None:
        """Note that news was lost, and forget what waits: history will tell all of it."""
        self._waiting.clear()
        self._size = 0
        self._missed = True
        self._wake.set()

    def close(self) -> None:
        """Bring no more news."""
        self.closed = True
        self._wake.set()

    def take_missed(self) -> bool:
        """Tell, once, whether news was lost."""
        missed, self._missed = self._missed, False
        return missed

    def take(self) -> News | None:
        """Return the oldest news, None if nothing waits."""
        if not self._waiting:
            return None
        news = self._waiting.popleft()
        self._size -= news.size if isinstance(news, Batch) else 0
        return news

    async def wait(self, *, seconds: float) -> bool:
        """Wait until there is something to look at; False when `seconds` have passed without it."""
        if self._waiting or self._missed or self.closed:
            return True
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True
