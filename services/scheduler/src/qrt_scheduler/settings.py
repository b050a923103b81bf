"""Everything the scheduler reads from its environment (`QRT_SCHEDULER_*`)."""

from typing import Annotated

from pydantic import Field

from qrt_chassis.settings import HealthSettings, ServiceSettings, Unit

PREFIX = "QRT_SCHEDULER_"


class SchedulerSettings(ServiceSettings):
    """Settings of one scheduler replica."""

    health: HealthSettings = HealthSettings(port=8102)
    lease_seconds: float = Field(default=10.0, gt=2)
    """How long a silent executor keeps its attempts; several of its heartbeats."""
    max_queued: Annotated[int, Unit("jobs")] = Field(default=200_000, ge=1)
    """Jobs that may wait, of all owners together; beyond it submissions are refused for now."""
    max_queued_per_owner: Annotated[int, Unit("jobs")] = Field(default=100_000, ge=1)
    """Jobs of one owner that may wait."""
    max_running_per_owner: Annotated[int | None, Unit("jobs")] = Field(default=None, ge=1)
    """Jobs of one owner that run at once; unset is no limit."""
    remember_executors_seconds: float = Field(default=60.0, ge=10)
    """How long an executor that is gone counts as one that comes back: a job that only it could run is
    queued, and one that none could is refused."""
    keep_days: float = Field(default=90.0, gt=0)
    """How long ended jobs and their outputs are kept."""
