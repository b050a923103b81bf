"""Everything the scheduler reads from its environment (`QRT_SCHEDULER_*`)."""

from pydantic import Field

from qrt_chassis.settings import BusSettings, HealthSettings, MongoSettings, Settings

PREFIX = "QRT_SCHEDULER_"


class SchedulerSettings(Settings):
    """Settings of one scheduler replica."""

    bus: BusSettings = BusSettings()
    mongo: MongoSettings = MongoSettings()
    health: HealthSettings = HealthSettings(port=8102)
    log_level: str = "INFO"
    lease_seconds: float = Field(default=10.0, gt=2)
    """How long a silent executor keeps its attempts; several of its heartbeats."""
