"""Everything the scheduler reads from its environment (`QRT_SCHEDULER_*`)."""

from pydantic import Field

from qrt_chassis.settings import HealthSettings, ServiceSettings

PREFIX = "QRT_SCHEDULER_"


class SchedulerSettings(ServiceSettings):
    """Settings of one scheduler replica."""

    health: HealthSettings = HealthSettings(port=8102)
    lease_seconds: float = Field(default=10.0, gt=2)
    """How long a silent executor keeps its attempts; several of its heartbeats."""
