"""What is measured, as data: what the command prints, and what its page and plots are made from."""

from datetime import UTC, datetime

from pydantic import BaseModel


class Peer(BaseModel):
    """One system, two workers, the hello circuit."""

    system: str
    isolation: str
    """What stands between two jobs of different users, and between a job and the system."""
    ms_p50: float
    """From before a job is submitted until its result is there; one after the other."""
    ms_p95: float
    jobs_per_s: float
    """All submitted at once, until the last result is known."""
    cpu_ms_per_job: float
    """Of the system's own processes, the jobs' included."""
    broker_cpu_ms_per_job: float
    store_cpu_ms_per_job: float
    client_cpu_ms_per_job: float
    pss_mb: float
    """The system's own processes at rest, broker and store not counted."""
    busy_pss_mb: float
    """The most seen while jobs run."""
    latency_runs: int
    jobs: int
    lost: int
    """Jobs whose result never came."""


class Missing(BaseModel):
    """A system that could not be measured, and why."""

    system: str
    why: str


class Waiting(BaseModel):
    """The runtime while many jobs of one owner wait."""

    queued: int
    how: str
    """`submitted` over HTTP, or `stored`: written into the database before the scheduler was started."""
    submissions_per_s: float
    """Further submissions of the owner whose jobs wait."""
    submit_ms_p50: float
    other_ms_p50: float
    """Another owner's job, from submission to result."""
    other_ms_p95: float
    scheduler_pss_mb: float
    takeover_s: float | None = None
    """From the scheduler's start until it has accepted a job and another owner's job has ended."""


class Listening(BaseModel):
    """One job's interim results at many WebSocket listeners of one gateway, 50 a second."""

    listeners: int
    p50_ms: float
    p95_ms: float
    bare_p50_ms: float
    bare_p95_ms: float


class Executors(BaseModel):
    """Jobs/s with executors of one slot each, two of each other service."""

    executors: int
    program: str
    jobs_per_s: float
    of_linear: float
    """1 is as many times the jobs/s of one executor as there are executors."""
    busy_cores: float
    """Cores that the whole machine was busy with meanwhile."""


class Logging(BaseModel):
    """One job that prints lines of 32 bytes as fast as it can."""

    lines: int
    seconds: float
    """From submission to result."""
    readable_s: float
    """From submission until all lines have been read back."""
    bare_s: float
    """The same program in an interpreter of its own, its output read through a pipe and dropped."""


class Growth(BaseModel):
    """How the runtime grows."""

    queued: list[Waiting] = []
    listeners: list[Listening] = []
    executors: list[Executors] = []
    logs: list[Logging] = []


class Machine(BaseModel):
    """Where and with what it was measured."""

    at: datetime
    commit: str
    cores: int
    processor: str
    memory_gb: float
    kernel: str
    python: str
    load_before: float
    """Processes that wanted to run in the minute before: near 0 on a machine that is left alone."""
    versions: dict[str, str]


class Figures(BaseModel):
    """Everything of one run."""

    machine: Machine
    quick: bool
    seconds: float
    peers: list[Peer]
    missing: list[Missing]
    growth: Growth


def now() -> datetime:
    """Return the time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
