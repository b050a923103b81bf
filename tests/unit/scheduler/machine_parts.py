"""A store, a bus, executors and a clock for the state machine; each can fail between any two steps."""

import asyncio
import selectors
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from qrt_chassis.bus.port import Undeliverable
from qrt_contracts.events import AttemptFinished, CancelAttempt, Heartbeat, JobChanged, JobEnded, RunAttempt
from qrt_contracts.ids import new_id
from qrt_contracts.jobs import Job
from qrt_contracts.message import Message
from qrt_contracts.rights import Shares
from qrt_contracts.states import TERMINAL, JobState
from qrt_contracts.values import Isolation, Payload
from qrt_scheduler.domain.needs import Needs
from qrt_scheduler.domain.place import Snapshot
from qrt_scheduler.ports import JobFilter, JobHead, Newest, Outgoing
from tests.unit.scheduler.factories import NOW


class Crash(BaseException):
    """The process is gone, at this very step."""


class Steps:
    """Counts the steps at which something can go wrong, and makes the chosen one do so."""

    def __init__(self) -> None:
        self._armed: tuple[int, BaseException] | None = None

    def arm(self, after: int, error: BaseException | None) -> None:
        self._armed = None if error is None else (after, error)

    def step(self) -> None:
        if self._armed is None:
            return
        left, error = self._armed
        self._armed = (left - 1, error)
        if left <= 0:
            self._armed = None
            raise error


class _Skipping(selectors.DefaultSelector):
    """Never waits: tells the loop's clock to jump instead."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.skipped += max(0.0, timeout or 0.0)
        return super().select(0)


class SkippingLoop(asyncio.SelectorEventLoop):
    """A loop in which sleeping takes no time."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.skipped


@dataclass
class Time:
    """Both clocks; the wall clock can be set wrong."""

    seconds: float = 0.0
    wrong: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds + self.wrong)


@dataclass
class FakeJobs:
    """The `JobStore` port: each operation is a step before it and a step after it."""

    steps: Steps
    jobs: dict[str, Job] = field(default_factory=dict)
    outboxes: dict[str, Outgoing] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    saved: Snapshot | None = None

    async def _turn(self) -> None:
        self.steps.step()
        await asyncio.sleep(0)

    async def insert(self, job: Job, outgoing: Outgoing) -> bool:
        await self._turn()
        if job.id in self.jobs:
            return False
        self.jobs[job.id], self.outboxes[job.id] = job, outgoing
        await self._turn()
        return True

    async def get(self, job_id: str) -> Job | None:
        await self._turn()
        return self.jobs.get(job_id)

    async def newest(self, job_id: str) -> Newest | None:
        raise NotImplementedError

    async def update(self, old: Job, new: Job, outgoing: Outgoing) -> bool:
        await self._turn()
        stored = self.jobs.get(old.id)
        guard = (old.status, old.attempt, old.revision)
        if stored is None or (stored.status, stored.attempt, stored.revision) != guard:
            return False
        assert stored.status not in TERMINAL, f"{stored.status} became {new.status}"
        assert new.attempt in (stored.attempt, stored.attempt + 1)
        self.jobs[old.id], self.outboxes[old.id] = new, outgoing
        await self._turn()
        return True

    async def delete(self, job_id: str) -> bool:
        raise NotImplementedError

    async def share(self, job_id: str, shares: Shares) -> bool:
        raise NotImplementedError

    async def page(self, which: JobFilter, *, limit: int, before: str | None) -> list[Job]:
        raise NotImplementedError

    async def unfinished(self) -> AsyncIterator[JobHead]:
        for status in (JobState.QUEUED, JobState.RUNNING):
            for job_id in list(self.jobs):
                await self._turn()
                job = self.jobs[job_id]
                if job.status is status:
                    yield _head(job)

    async def ahead(self, job: Job) -> int:
        raise NotImplementedError

    async def ended_before(self, moment: datetime, *, limit: int) -> list[str]:
        raise NotImplementedError

    async def forget_keys(self, before: datetime) -> None:
        raise NotImplementedError

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        await self._turn()
        self.saved = snapshot

    async def snapshot(self) -> Snapshot | None:
        await self._turn()
        return self.saved

    async def claim_key(
        self, owner: str, key: str, *, job_id: str, fingerprint: str, now: datetime
    ) -> tuple[str, str]:
        await self._turn()
        bound = self.keys.setdefault((owner, key), (job_id, fingerprint))
        await self._turn()
        return bound

    async def sent(self, outgoing: Sequence[Outgoing]) -> None:
        await self._turn()
        for each in outgoing:
            if (left := self.outboxes.get(each.job_id)) and left.token == each.token:
                del self.outboxes[each.job_id]

    async def unsent(self, *, before: datetime, after: datetime, limit: int) -> list[Outgoing]:
        await self._turn()
        return list(self.outboxes.values())[:limit]


def _head(job: Job) -> JobHead:
    newest = job.newest
    return JobHead(
        job_id=job.id,
        owner=job.owner,
        program_id=job.run.program_id,
        priority=job.priority,
        max_running=job.run.quota.running,
        needs=Needs.of(job.run.kind, job.run.resources),
        environment=job.environment_key,
        status=job.status,
        attempt=job.attempt,
        executor=newest.executor if newest else None,
        incarnation=newest.incarnation if newest else None,
        cancel_requested=job.cancel_requested,
    )


class Played:
    """One incarnation of an executor: takes each attempt once, as the real one does."""

    def __init__(self, name: str, slots: int, ran: dict[tuple[str, int], str]) -> None:
        self.name, self.slots = name, slots
        self.incarnation = new_id()
        self.running: dict[tuple[str, int], bool] = {}
        """Attempts that run, and whether they were told to end."""
        self._taken: set[tuple[str, int]] = set()
        self._ran = ran

    def take(self, order: RunAttempt | CancelAttempt) -> list[Message]:
        key = (order.job_id, order.attempt)
        if isinstance(order, CancelAttempt):
            if key in self.running:
                self.running[key] = True
            return []
        if key in self._taken:
            return []
        self._taken.add(key)
        if len(self.running) >= self.slots:
            return [self.report(key, "refused")]
        assert key not in self._ran, f"attempt {key} runs a second time"
        self._ran[key] = self.incarnation
        self.running[key] = False
        return []

    def finish(self, key: tuple[str, int], end: str) -> Message:
        told = self.running.pop(key)
        return self.report(key, "cancelled" if told else end)

    def report(self, key: tuple[str, int], end: str) -> AttemptFinished:
        return AttemptFinished(
            job_id=key[0],
            attempt=key[1],
            executor=self.name,
            incarnation=self.incarnation,
            end=end,
            result=Payload(text=f'"{key[1]} {self.incarnation}"') if end == "succeeded" else None,
            started_at=NOW,
            ended_at=NOW,
        )

    def beat(self, *, leaving: bool = False) -> Heartbeat:
        return Heartbeat(
            executor=self.name,
            incarnation=self.incarnation,
            slots=self.slots,
            running=tuple({"job_id": job, "attempt": number} for job, number in self.running),
            isolation=Isolation.PROCESS,
            leaving=leaving,
        )


@dataclass
class FakeBus:
    """Keeps what is published until the test delivers it."""

    steps: Steps
    executors: dict[str, Played] = field(default_factory=dict)
    events: list[Message] = field(default_factory=list)
    orders: list[tuple[str, RunAttempt | CancelAttempt]] = field(default_factory=list)
    """Orders on their way, with the incarnation they go to."""

    async def publish(self, message: Message, *, mandatory: bool = False, deadline: Any = None) -> None:
        self.steps.step()
        await asyncio.sleep(0)
        if isinstance(message, RunAttempt | CancelAttempt):
            known = self.executors.get(message.executor)
            if known is None or known.incarnation != message.incarnation:
                raise Undeliverable("nobody")
            self.orders.append((message.incarnation, message))
        elif not isinstance(message, JobChanged | JobEnded):
            self.events.append(message)
        self.steps.step()

    async def ping(self) -> None:
        self.steps.step()
