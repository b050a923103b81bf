"""The queue of jobs that wait, shared fairly between owners.

Order: priority first, then the owner with the least running work, then the owner whose last turn was
longest ago, then age (ids sort by age). An owner or a program at its limit of running jobs is passed
over, and so is a job for which no executor has room; one that is passed over again and again becomes
`pressing`. Kept in memory by the dispatching scheduler alone and rebuilt from the store when one takes over.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from qrt_scheduler.domain.lines import Lines, Place
from qrt_scheduler.domain.needs import UNDEMANDING, Needs

PATIENCE = 20
"""Turns of jobs behind it after which one that found no room is waited for."""


class Fit(Enum):
    """Whether a job can be placed."""

    NOW = "now"
    LATER = "later"
    """Some executor can run it, and has no room at present."""
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued job, as much of it as choosing needs."""

    job_id: str
    owner: str
    program_id: str
    priority: int
    max_running: int | None = None
    """How many jobs of this program may run at once."""
    needs: Needs = UNDEMANDING
    environment: str | None = None
    """The key of its environment: where that is warm it starts at once."""
    trace: str | None = field(default=None, compare=False)
    """The span that queued it."""

    @property
    def lane(self) -> tuple[str, Needs]:
        """Program and needs: of an owner's jobs that have both in common only the first is looked at."""
        return self.program_id, self.needs

    @property
    def place(self) -> Place:
        """Where it stands in its lane."""
        return -self.priority, self.job_id


class Backlog:
    """Queued jobs and what runs per owner and program.

    What a choice costs does not grow with the jobs that wait, only with the lanes that are due before the
    chosen one and cannot start.
    """

    def __init__(self, *, owner_limit: int | None = None) -> None:
        self._owner_limit = owner_limit
        self._waiting: dict[str, Waiting] = {}
        self._lines = Lines(self._standing)
        self._turns = 0
        self._last_turn: dict[str, int] = {}
        """When each owner with work here had its last turn, counted in turns."""
        self.queued: Counter[str] = Counter()
        """Waiting jobs of each owner."""
        self.waiting: Counter[str] = Counter()
        """Waiting jobs of each program."""
        self.running: Counter[str] = Counter()
        """Running jobs of each owner."""
        self.programs: Counter[str] = Counter()
        """Running jobs of each program."""
        self._passed: Counter[str] = Counter()
        """How often jobs that were due found no room while another did."""

    def __len__(self) -> int:
        """Return how many jobs wait."""
        return len(self._waiting)

    def add(self, job: Waiting) -> None:
        """Queue a job; one that waits already stays where it is."""
        if job.job_id in self._waiting:
            return
        self._waiting[job.job_id] = job
        self.queued[job.owner] += 1
        self.waiting[job.program_id] += 1
        self._lines.add(job.owner, job.lane, job.place)

    def remove(self, job_id: str) -> Waiting | None:
        """Forget a job; returns it if it waited."""
        job = self._waiting.pop(job_id, None)
        if job:
            self._passed.pop(job_id, None)
            _count_down(self.queued, job.owner)
            _count_down(self.waiting, job.program_id)
            self._forget_idle(job.owner)
            self._lines.remove(job.owner, job.lane, job.place)
        return job

    def pick(self, fit: Callable[[Waiting], Fit] = lambda _: Fit.NOW) -> Waiting | None:
        """Take the job that is due next, None if nothing waits that may start and finds room."""
        later: Waiting | None = None
        for rank in self._lines.in_turn():
            job = self._waiting[rank[3]]
            if self._at_limit(job):
                continue
            found = fit(job)
            if found is Fit.NOW:
                if later:
                    self._passed[later.job_id] += 1
                return self._take(job.job_id)
            if found is Fit.LATER and later is None:
                later = job
        return None

    @property
    def pressing(self) -> Waiting | None:
        """The job that was passed over most often, once that is too often."""
        for job_id, times in self._passed.most_common(1):
            return self._waiting[job_id] if times >= PATIENCE else None
        return None

    def _take(self, job_id: str) -> Waiting | None:
        job = self.remove(job_id)
        if job:
            self._turns += 1
            self._last_turn[job.owner] = self._turns
            self._lines.refile(job.owner)
        return job

    def started(self, owner: str, program_id: str) -> None:
        """Count one more running job."""
        self.running[owner] += 1
        self.programs[program_id] += 1
        self._lines.refile(owner)

    def stopped(self, owner: str, program_id: str) -> None:
        """Count one running job less."""
        _count_down(self.running, owner)
        _count_down(self.programs, program_id)
        self._forget_idle(owner)
        self._lines.refile(owner)

    def _forget_idle(self, owner: str) -> None:
        if owner not in self.running and owner not in self.queued:
            self._last_turn.pop(owner, None)

    def _standing(self, owner: str) -> tuple[int, int] | None:
        running = self.running[owner]
        if self._owner_limit is not None and running >= self._owner_limit:
            return None
        return running, self._last_turn.get(owner, 0)

    def _at_limit(self, job: Waiting) -> bool:
        return job.max_running is not None and self.programs[job.program_id] >= job.max_running


def _count_down(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
