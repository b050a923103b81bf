"""How a program's container is made: what it sees, and everything it may not do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qrt_executor.adapters.containers.holder import Holder, mount
from qrt_executor.adapters.containers.images import Image
from qrt_executor.ports import Order

INPUT = "/var/runtime/input"
OLDER_INPUT = "/var/input"
OUTPUT = "/var/runtime/output"
_SHM_BYTES = 64 << 20
_VOLUMES = 16
"""Paths that an image may declare as volumes."""


_TOLD_LIMITS = {
    "MemoryLimit": "memory",
    "SwapLimit": "swapped memory",
    "CpuCfsQuota": "processors",
    "PidsLimit": "processes",
}
"""What an engine tells of itself, and the limit that it can or cannot keep by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What all containers of an executor have in common."""

    user: str | None
    """`uid:gid` that programs run as, whatever their image says; None leaves it to the image."""
    cpus: float
    """Processors of a program that declares none."""
    most_cpus: float
    """Processors of the engine's machine."""
    unenforced: tuple[str, ...] = ()
    """Limits that the engine cannot keep."""


def unenforced(machine: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the limits that an engine says it cannot keep: the kernel has no control group for them."""
    return tuple(limit for name, limit in _TOLD_LIMITS.items() if machine.get(name) is False)


def blueprint(
    order: Order, *, image: Image, holder: Holder, standing: Standing, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return the body of the call that creates the container of an order."""
    # Later ones win: a secret can be called as it likes, but the directories are where they are.
    environ = {"HOME": "/tmp", **order.environ, "INPUT_DIRECTORY": INPUT, "OUTPUT_DIRECTORY": OUTPUT}  # noqa: S108
    config: dict[str, Any] = {
        "Image": image.id,
        "Env": [f"{name}={value}" for name, value in environ.items()],
        "Labels": dict(labels),
        "Healthcheck": {"Test": ["NONE"]},
        "NetworkDisabled": not order.network,
        "HostConfig": _host(order, image=image, holder=holder, standing=standing),
    }
    if standing.user is not None:
        config["User"] = standing.user
    return config


def _host(order: Order, *, image: Image, holder: Holder, standing: Standing) -> dict[str, Any]:
    limits = order.limits
    cpus = min(order.resources.cpus or standing.cpus, standing.most_cpus)
    host: dict[str, Any] = {
        "NetworkMode": holder.name if order.network else "none",
        "ReadonlyRootfs": True,
        "Privileged": False,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "IpcMode": "private",
        "ShmSize": _SHM_BYTES,
        "Tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={limits.disk_bytes}"},  # noqa: S108
        "Mounts": _mounts(order, image=image, holder=holder),
        "LogConfig": {"Type": "none"},
        "RestartPolicy": {"Name": "no"},
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "NanoCpus": int(cpus * 1e9),
        "PidsLimit": limits.processes,
        "Ulimits": [
            _ulimit("nofile", limits.open_files),
            _ulimit("fsize", limits.file_bytes),
            _ulimit("core", 0),
        ],
    }
    if order.resources.gpus:
        host["DeviceRequests"] = [{"Count": order.resources.gpus, "Capabilities": [["gpu"]]}]
    return host


def _mounts(order: Order, *, image: Image, holder: Holder) -> list[dict[str, Any]]:
    ours = {INPUT, OLDER_INPUT, OUTPUT, "/tmp"}  # noqa: S108
    declared = [path for path in image.volumes if path.rstrip("/") not in ours]
    return [
        mount(holder.input, INPUT, read_only=True),
        mount(holder.input, OLDER_INPUT, read_only=True),
        mount(holder.output, OUTPUT),
        # A volume that an image declares would be on the engine's disk, without any limit.
        *(_private(path, order.limits.disk_bytes) for path in declared[:_VOLUMES]),
    ]


def _private(path: str, size: int) -> dict[str, Any]:
    return {"Type": "tmpfs", "Target": path, "TmpfsOptions": {"SizeBytes": size, "Mode": 0o1777}}


def _ulimit(name: str, value: int) -> dict[str, Any]:
    return {"Name": name, "Soft": value, "Hard": value}


def too_many_volumes(image: Image) -> str | None:
    """Return why an image cannot run: what it declares has to be private and small."""
    if len(image.volumes) > _VOLUMES:
        return f"the image declares more than {_VOLUMES} volumes"
    return None
