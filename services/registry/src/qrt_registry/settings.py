"""Everything the registry reads from its environment (`QRT_REGISTRY_*`)."""

from pydantic import Field

from qrt_chassis.settings import HealthSettings, ServiceSettings

PREFIX = "QRT_REGISTRY_"


class RegistrySettings(ServiceSettings):
    """Settings of one registry replica."""

    health: HealthSettings = HealthSettings(port=8101)
    max_source_bytes: int = Field(default=2 << 20, ge=1024, le=16 << 20)
    """The largest source of a program, in bytes of UTF-8."""
    max_project_bytes: int = Field(default=64 << 20, ge=1024, le=256 << 20)
    """The largest archive of a project that is taken."""
    max_unpacked_bytes: int = Field(default=128 << 20, ge=1024, le=512 << 20)
    """The most bytes that the files of a project may have together."""
