"""Everything the executor reads from its environment (`QRT_EXECUTOR_*`)."""

import os
import socket
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from qrt_chassis.sealing import SealingKeys
from qrt_chassis.settings import HealthSettings, ServiceSettings, Settings, Unit
from qrt_contracts.ids import HexId
from qrt_contracts.values import Isolation

PREFIX = "QRT_EXECUTOR_"


def physical_memory() -> int:
    """Return the bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _environments() -> Path:
    return Path(tempfile.gettempdir(), f"qrt-environments-{os.geteuid()}")


class CeilingSettings(Settings):
    """The most a program may ask for, whatever its own limits say; not set is no ceiling."""

    wall_seconds: float | None = Field(default=None, gt=0)
    """How long an attempt may run."""
    cpu_seconds: float | None = Field(default=None, gt=0)
    """Processor time of an attempt."""
    memory_bytes: int | None = Field(default=None, ge=64 << 20)
    """Memory of an attempt."""
    processes: Annotated[int | None, Unit("processes")] = Field(default=None, ge=1)
    """Processes and threads of an attempt at once."""
    open_files: Annotated[int | None, Unit("files")] = Field(default=None, ge=32)
    """Files that one process of an attempt holds open."""
    file_bytes: int | None = Field(default=None, ge=1 << 20)
    """The size of one file that an attempt writes."""
    disk_bytes: int | None = Field(default=None, ge=1 << 20)
    """What an attempt's working directory, its outputs and its `/tmp` take, each."""
    log_bytes: int | None = Field(default=None, ge=1024)
    """What is kept of what an attempt prints."""
    interim_bytes: int | None = Field(default=None, ge=1024)
    """What an attempt's interim results take together."""
    interim_count: Annotated[int | None, Unit("interim results")] = Field(default=None, ge=1)
    """How many interim results an attempt publishes."""
    message_bytes: int | None = Field(default=None, ge=1024)
    """The size of one interim result."""
    result_bytes: int | None = Field(default=None, ge=1024)
    """The size of an attempt's result."""


class ExecutorSettings(ServiceSettings):
    """Settings of one executor."""

    health: HealthSettings = HealthSettings(port=8103)
    name: str = Field(default_factory=socket.gethostname, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$")
    """Stable over restarts; unique among running executors."""
    slots: Annotated[int, Unit("attempts")] = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024
    )
    """Attempts that run at once."""
    program_python: Path
    """The interpreter of the environment that programs run in; never the executor's own."""
    isolation: Literal[Isolation.JAIL, Isolation.LANDLOCK] | None = None
    """The least level: where no such level works the executor refuses all work, whatever else is set.

    Not set it is `landlock`, or `process` behind its own switch.
    """
    unsafe_process: bool = False
    """Where no other level works, run programs as plain processes: only for programs you trust."""
    allow_network_programs: frozenset[HexId] = frozenset()
    """Ids of programs that run with the host's network, at level `jail` alone; none by default."""
    scratch: Path = Path(tempfile.gettempdir())
    """Holds temporary directories, at the levels that need any."""
    service_uid: Annotated[int, Unit("user id")] = Field(default=61000, ge=1)
    """Uid and gid of zygotes and programs when the executor is started as root."""
    sealing_keys: SealingKeys | None = None
    """Seal what only programs and backends may read; the gateways and the executors share them. Several
    with commas between: the first one seals, each one opens. Without any, no secrets are taken."""
    heartbeat_seconds: float = Field(default=2.0, ge=0.1)
    """How often it tells that it is there and what it runs; several times in a lease of the schedulers."""
    grace_seconds: float = Field(default=5.0, ge=0)
    """Between SIGTERM and SIGKILL of an attempt that must end."""
    drain_seconds: float = Field(default=20.0, ge=0)
    """How long running attempts may take to end when the executor is told to stop."""
    quafu_url: str | None = Field(default=None, pattern=r"^https?://[^\s/]+.*$")
    """Address of the Quafu cloud, such as https://quafu.baqis.ac.cn/; not set, its devices are not used."""
    quafu_token: SecretStr | None = None
    """Lists the cloud's devices before any job has asked for them. Circuits go with their owners' tokens."""
    quafu_wait_seconds: float = Field(default=3600.0, gt=0)
    """How long the cloud may take for one circuit, its queue included."""
    environments: Path = Field(default_factory=_environments)
    """Holds what was installed for programs, and uv's cache. Executors of one host and user may share it."""
    environments_bytes: int = Field(default=20 << 30, ge=1 << 20)
    """What it may hold; beyond it the cache goes, then the environments that are longest unused."""
    warm_environments: Annotated[int, Unit("environments")] = Field(default=4, ge=1, le=256)
    """Environments that keep sandboxes ready at once; more if more are in use."""
    index_url: SecretStr | None = None
    """The package index. Not set, it is what uv finds configured in the executor's environment (`UV_*`)."""
    build_hosts: frozenset[Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?$")]] = frozenset()
    """Further hosts that the index's files come from, as `host` or `host:port` (443 else), with commas
    between. Those on the public network are found without this."""
    wheels: Path | None = None
    """A folder of packages to use in place of any index: builds get no network."""
    allow_packages: frozenset[str] = frozenset()
    """Names of the only packages that environments may hold, with commas between; not set, any."""
    build_bytes: int = Field(default=4 << 30, ge=1 << 20)
    """What a build of an environment may write."""
    bundle_cache_bytes: int = Field(default=256 << 20, ge=0)
    """Uploaded programs that are kept in memory, the longest unused going first."""
    ceiling: CeilingSettings = CeilingSettings()
    engine: str | None = Field(default=None, pattern=r"^unix:///.+$")
    """The socket of a container engine, Docker's or Podman's, as `unix:///var/run/docker.sock`; without one
    no container programs run here."""
    engine_owner: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.@-]{1,128}$")
    """Tells this executor's containers from those of others at one engine; not set, its name does. What bears
    it when the executor starts is removed."""
    pull_images: bool = True
    """Have the engine fetch images that a program names and that are not there."""
    container_user: Literal["service", "image"] = "service"
    """Whom containers run as: `service_uid`, whatever their image says, or the user of their image."""
    build_network: bool = False
    """Builds of images have the engine's network."""
    build_seconds: float = Field(default=600, gt=0, le=1500)
    """How long making an environment or an image, or fetching an image, may take."""
    build_memory_bytes: int = Field(default=2 << 30, ge=128 << 20)
    """What the processes of a build, or of one step of an image's, may hold together."""
    image_bytes: int = Field(default=4 << 30, ge=1 << 20)
    """The largest image, and the most one step of a build may write."""
    image_cache_bytes: int = Field(default=20 << 30, ge=0)
    """Images that were built here are removed, the longest unused first, beyond this."""
    cpus: Annotated[float, Unit("processors")] = Field(
        default_factory=lambda: float(os.cpu_count() or 1), gt=0
    )
    """Processors that jobs are told of; what they declare is taken from them."""
    memory_bytes: int = Field(default_factory=physical_memory, ge=64 << 20)
    """Memory that jobs are told of."""
    gpus: Annotated[int, Unit("GPUs")] = Field(default=0, ge=0, le=64)
    """GPUs that containers may be given."""
    gpu_type: str | None = None
    """What they are, as programs name them."""
