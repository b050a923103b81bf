"""A job, watched by somebody: its outputs as they come, and its end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass

from qrt_chassis.backoff import Backoff
from qrt_chassis.bus.port import Bus
from qrt_contracts.api import Frame, OutputsFrame, StateFrame, SubscribedFrame
from qrt_contracts.commands import GetJob, ListJobs, OutputPage, ReadOutputs, SubmitJob, Submitted
from qrt_contracts.events import JobChanged, JobOutput
from qrt_contracts.faults import RuntimeFault, Unavailable
from qrt_contracts.jobs import Job
from qrt_contracts.states import TERMINAL, JobState
from qrt_gateway import metrics
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.following import Following, is_whole, pieces
from qrt_gateway.domain.told import Told
from qrt_gateway.service.asking import Asking
from qrt_gateway.service.frames import Write
from qrt_gateway.service.live import Live, output_topic
from qrt_gateway.service.mailbox import Batch, Mailbox, News, batch_of

log = logging.getLogger(__name__)

SWEEP_SECONDS = 10.0
"""How long to trust that no news is no news, before asking."""
PAGE = 500
"""Outputs asked for at once; what a page may weigh is bounded by who answers."""
READS = 32
"""Pages of history asked for at once, over all listeners: slow ones must not flood the bus with old news."""
LOOKS = 512
"""Jobs asked for at once, over all who want to know; many, lest they queue up while nobody answers."""
NEWEST = 500
"""Jobs whose states are told at once."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A page of history, and its outputs in batches: one object for all listeners who are at its place."""

    page: OutputPage
    batches: tuple[Batch, ...]


class Watching:
    """Follows jobs for their owners: news wakes, and asking now and then repairs what news missed."""

    def __init__(self, bus: Bus, live: Live, *, sweep_seconds: float = SWEEP_SECONDS) -> None:
        self._bus = bus
        self._live = live
        self._sweep_seconds = sweep_seconds
        self._pages = Asking[_Stored](at_once=READS)
        self._looks = Asking[Job](at_once=LOOKS)

    @property
    def closed(self) -> bool:
        """The gateway is stopping: nothing can be followed any more."""
        return self._live.closed

    async def submit(self, command: SubmitJob) -> Submitted:
        """Queue a job, and remember it: who submits one mostly waits for it here."""
        submitted = await self._bus.request(command)
        self._live.fresh.submitted(submitted.job)
        return submitted

    async def job(self, caller: Caller, job_id: str) -> Job:
        """Return a job that the caller may see. Raises: NotFound."""

        async def look() -> Job:
            return (
                await self._bus.request(GetJob(caller=caller.name, rights=caller.rights, job_id=job_id))
            ).job

        return await self._looks.ask((caller.name, caller.rights, job_id), look)

    async def ended_job(self, caller: Caller, job_id: str, *, wait_seconds: float) -> Job:
        """Return a job as soon as it has ended, or as it is when the wait is over.

        What its end has brought (status, result, problem, times) is there; its attempts may be as they
        were before. Raises: NotFound.
        """
        if wait_seconds <= 0:
            return await self.job(caller, job_id)
        loop = asyncio.get_running_loop()
        give_up = loop.time() + wait_seconds
        async with self._live.listen(job_id) as mailbox:
            job = self._live.fresh.get(caller.name, job_id) or await self.job(caller, job_id)
            while job.status not in TERMINAL and not mailbox.closed and (left := give_up - loop.time()) > 0:
                job = await self._later(caller, job, mailbox, seconds=left)
            return job if job.status in TERMINAL else await self.job(caller, job_id)

    async def _later(self, caller: Caller, job: Job, mailbox: Mailbox, *, seconds: float) -> Job:
        """Wait for news, and return the job as it is then."""
        swept = not await mailbox.wait(seconds=min(seconds, self._sweep_seconds))
        if mailbox.take_missed() or swept:
            return await self.job(caller, job.id)
        while news := mailbox.take():
            if isinstance(news, JobChanged) and news.status in TERMINAL:
                return _ended_as_told(job, news) or await self.job(caller, job.id)
        return job

    async def follow(
        self,
        caller: Caller,
        job_id: str,
        *,
        attempt: int | None = None,
        after: int = 0,
        write: Write | None = None,
    ) -> AsyncGenerator[Frame, None]:
        """Yield a job's frames from output `after` + 1 on, to its end; first what is stored, then live.

        `attempt` None is the newest one. Live frames that `write` takes while the caller waits for the
        next frame are not yielded. Close the iterator to stop listening.

        Raises:
            NotFound: the caller has no such job, or it was deleted meanwhile.
            Unavailable: nobody could tell, at the beginning; or the gateway is stopping.
        """
        async with self._live.listen(job_id, outputs=True) as mailbox:
            if attempt is None:
                attempt = (await self.job(caller, job_id)).attempt if after else 0
            following = Following(job_id, attempt=attempt, after=after)
            for frame in await self._join(caller, following) or await self._read(caller, following):
                yield frame
            async with aclosing(self._on(caller, following, mailbox, write)) as frames:
                async for frame in frames:
                    yield frame

    async def states(self, caller: Caller) -> AsyncGenerator[SubscribedFrame | StateFrame, None]:
        """Yield a first frame, then each unfinished job's state, then every change of state, for ever.

        What was missed is repaired by asking for the newest jobs; no state is told twice.

        Raises:
            Unavailable: the bus is away at the beginning, or the gateway is stopping.
        """
        with self._live.listen_to_all(caller.name) as mailbox:
            yield SubscribedFrame()
            told = Told()
            for status in (JobState.RUNNING, JobState.QUEUED):
                for frame in told.fresh(map(_news_of, await self._newest(caller, status))):
                    yield frame
            while True:
                await mailbox.wait(seconds=self._sweep_seconds)
                if mailbox.closed:
                    raise Unavailable("the gateway is stopping; connect again")
                if mailbox.take_missed():
                    for frame in told.fresh(map(_news_of, await self._newest(caller))):
                        yield frame
                while news := mailbox.take():
                    for frame in told.fresh([news] if isinstance(news, JobChanged) else []):
                        yield frame

    async def _newest(self, caller: Caller, status: JobState | None = None) -> tuple[Job, ...]:
        page = await self._bus.request(
            ListJobs(caller=caller.name, rights=caller.rights, status=status, limit=NEWEST)
        )
        return page.jobs

    async def _on(
        self, caller: Caller, following: Following, mailbox: Mailbox, write: Write | None
    ) -> AsyncGenerator[Frame, None]:
        backoff = Backoff(first=0.25)
        while not following.done:
            if mailbox.closed:
                raise Unavailable("the gateway is stopping; connect again")
            if mailbox.take_missed():
                following.missed()
            if news := mailbox.take():
                for frame in _frames(following, news):
                    yield frame
            elif following.behind or following.complete:
                before = (following.attempt, following.number)
                for frame in await self._catch_up(caller, following):
                    yield frame
                if following.behind and before == (following.attempt, following.number):
                    await asyncio.sleep(backoff.next())
                else:
                    backoff.reset()
            elif not await self._wait(following, mailbox, write):
                following.missed()
        yield following.end()

    async def _wait(self, following: Following, mailbox: Mailbox, write: Write | None) -> bool:
        """Wait for news, passing on live messages meanwhile; False if there was none of either."""

        def at_once(news: Batch) -> bool:
            if write is None or not following.is_next(news.message) or not write(news.frame):
                return False
            following.sent(news.message)
            return True

        before = following.number
        mailbox.at_once = at_once
        try:
            return await mailbox.wait(seconds=self._sweep_seconds) or following.number > before
        finally:
            mailbox.at_once = None

    async def _catch_up(self, caller: Caller, following: Following) -> list[Frame]:
        """Return what asking brings; nothing if nobody answers, which leaves `following` behind."""
        try:
            if following.complete:
                return following.changed(_news_of(await self.job(caller, following.job_id)))
            if following.reads_on and (known := self._known(following)) is not None:
                return following.join(known)
            return await self._read(caller, following)
        except RuntimeFault as fault:
            if not fault.retryable:
                raise
            log.warning("outputs of job %s have to wait: %s", following.job_id, fault.detail)
            following.missed()
            return []

    async def _join(self, caller: Caller, following: Following) -> list[Frame]:
        """Return the first frames, if all of a running job that they tell is known here; nothing if not."""
        recent, key = self._live.recent, output_topic(following.job_id)
        if not recent.knows(key):
            return []
        job = await self.job(caller, following.job_id)
        if job.status is not JobState.RUNNING or following.attempt > job.attempt:
            return []
        place = following.number if following.attempt == job.attempt else 0
        known = recent.after(key, job.attempt, place)
        if known is None:
            return []
        return [*following.changed(_news_of(job)), *following.join(_messages(known))]

    def _known(self, following: Following) -> list[tuple[JobOutput, OutputsFrame]] | None:
        key = output_topic(following.job_id)
        known = self._live.recent.after(key, following.attempt, following.number)
        return None if known is None else _messages(known)

    async def _read(self, caller: Caller, following: Following) -> list[Frame]:
        """Return what a page of history adds."""
        command = ReadOutputs(
            caller=caller.name,
            rights=caller.rights,
            job_id=following.job_id,
            attempt=following.attempt,
            after=following.number,
            reach=following.reach,
            limit=PAGE,
        )

        recent, key = self._live.recent, output_topic(following.job_id)

        async def read() -> _Stored:
            metrics.HISTORY_READS.inc()
            losses = recent.losses
            page = await self._bus.request(command)
            stored = _stored(command.job_id, page)
            if _is_news(page) and losses == recent.losses and self._live.hears(key):
                recent.read(key, stored.batches)
            return stored

        stored = await self._pages.ask(command, read)
        return following.page(stored.page, [each.frame for each in stored.batches])


def _stored(job_id: str, page: OutputPage) -> _Stored:
    messages = (
        JobOutput.model_construct(job_id=job_id, attempt=page.attempt, outputs=piece)
        for piece in pieces(page.outputs)
    )
    return _Stored(page, tuple(map(batch_of, messages)))


def _is_news(page: OutputPage) -> bool:
    """Tell whether a page may be what others who come need, too."""
    outputs = page.outputs
    return (
        page.status is JobState.RUNNING and bool(outputs) and is_whole(outputs, after=outputs[0].number - 1)
    )


def _messages(batches: Iterable[Batch]) -> list[tuple[JobOutput, OutputsFrame]]:
    return [(each.message, each.frame) for each in batches]


def _frames(following: Following, news: News) -> list[Frame]:
    if isinstance(news, Batch):
        return following.output(news.message, news.frame)
    return following.changed(news)


def _ended_as_told(job: Job, news: JobChanged) -> Job | None:
    """Return the ended job if the news say all of its end; a large result has to be asked for."""
    if news.ended_at is None or (news.status is JobState.SUCCEEDED and news.result is None):
        return None
    told = news.model_dump(include={"status", "attempt", "last_output", "started_at", "ended_at"})
    return job.model_copy(update=told | {"problem": news.problem, "result": news.result})


def _news_of(job: Job) -> JobChanged:
    return JobChanged(
        job_id=job.id,
        status=job.status,
        attempt=job.attempt,
        last_output=job.last_output,
        problem=job.problem,
        owner=job.owner,
    )
