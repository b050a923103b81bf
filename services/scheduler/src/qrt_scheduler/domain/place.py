"""Where a queued job stands and why, from a snapshot of the dispatcher's memory."""

from datetime import datetime, timedelta

from pydantic import Field

from qrt_contracts.jobs import Job, QueuePlace
from qrt_contracts.message import Value
from qrt_scheduler.domain.needs import Ability, Needs, why_not

STALE = timedelta(seconds=15)
"""A snapshot older than this was left by a dispatcher that is gone."""


class Known(Value):
    """What some executor can run, and how long ago one that can was heard."""

    ability: Ability
    silent_seconds: float = 0.0


class Snapshot(Value):
    """What the dispatcher knew at one moment; stored for every replica to answer from."""

    at: datetime
    executors: int = 0
    slots: int = 0
    free: int = 0
    queued: dict[str, int] = Field(default_factory=dict)
    """Waiting jobs of each owner."""
    waiting: dict[str, int] = Field(default_factory=dict)
    """Waiting jobs of each program."""
    running: dict[str, int] = Field(default_factory=dict)
    """Running jobs of each owner."""
    programs: dict[str, int] = Field(default_factory=dict)
    """Running jobs of each program."""
    owner_limit: int | None = None
    run_seconds: float | None = None
    """Mean run time of recent jobs; None while none has ended."""
    settled: bool = False
    """All executors that are there have been heard."""
    known: tuple[Known, ...] = ()
    """What executors can run that are there, or were a moment ago; each ability once."""
    room: tuple[Ability, ...] = ()
    """What executors with a free slot have left."""

    def never(self, needs: Needs) -> str | None:
        """Return why no executor can run a job, None if one can or nothing is known of any."""
        abilities = [each.ability for each in self.known]
        return why_not(needs, abilities) if abilities else None


def place(job: Job, *, ahead: int, snapshot: Snapshot | None, now: datetime) -> QueuePlace:
    """Return where a queued job stands; `ahead` of its owner's own jobs go before it."""
    if snapshot is None or now - snapshot.at > STALE:
        return QueuePlace(position=ahead + 1, reason="no scheduler has dispatched lately")
    position = ahead + 1 + _others_ahead(job.owner, ahead, snapshot)
    start = None
    if snapshot.run_seconds is not None and snapshot.slots:
        start = now + timedelta(seconds=position / snapshot.slots * snapshot.run_seconds)
    return QueuePlace(position=position, reason=_reason(job, position, snapshot), estimated_start=start)


def _others_ahead(owner: str, ahead: int, snapshot: Snapshot) -> int:
    """Count jobs of other owners that start first: each has its turns while it runs less."""
    served = snapshot.running.get(owner, 0) + ahead
    return sum(
        min(waiting, max(0, served - snapshot.running.get(other, 0)))
        for other, waiting in snapshot.queued.items()
        if other != owner
    )


def _reason(job: Job, position: int, snapshot: Snapshot) -> str:
    if not snapshot.executors:
        return "no executor is connected"
    needs = Needs.of(job.run.kind, job.run.resources)
    if lack := snapshot.never(needs):
        return f"no executor can run it: {lack}"
    running, limit = snapshot.running.get(job.owner, 0), snapshot.owner_limit
    if limit is not None and running >= limit:
        return f"{running} of your jobs are running; the limit is {limit}"
    program, most = snapshot.programs.get(job.run.program_id, 0), job.run.quota.running
    if most is not None and program >= most:
        return f"{program} jobs of this program are running; its limit is {most}"
    if position > 1:
        return f"{position - 1} jobs are to start before it"
    if not snapshot.slots:
        return "no executor takes work at present"
    if not snapshot.free:
        return f"all {snapshot.slots} slots are busy"
    if snapshot.room and why_not(needs, snapshot.room):
        return "no executor has room for what its program asks for"
    return "it is about to start"
