"""What an engine of the tests leaves when it is killed, and how all of it goes."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "qrt-engine-"


def make_home() -> Path:
    """Return a new directory for an engine of this process, once what dead processes left is removed."""
    for home in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = home.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            clear(home, bridge=bridge_of(int(owner)))
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def bridge_of(pid: int) -> str:
    """Return the name of the bridge of a process's engine."""
    return f"qrt{pid}"


def bridges(bridge: str) -> list[str]:
    """Return the bridges there are of an engine: its own, and those of networks that were named after it."""
    names = [entry.name for entry in Path("/sys/class/net").iterdir()]
    return [name for name in names if name == bridge or name.startswith(f"{bridge}-")]


def clear(home: Path, *, bridge: str) -> None:
    """Remove an engine's processes, containers, mounts, bridge and data."""
    for pid in (*_engines(home), *contained(home)):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for place in reversed(mounts(home)):
        subprocess.run(["umount", "-l", place], capture_output=True, check=False)
    ip = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if ip is not None:
        for name in bridges(bridge):
            subprocess.run([ip, "link", "del", name], capture_output=True, check=False)
    shutil.rmtree(home, ignore_errors=True)


def mounts(home: Path) -> list[str]:
    """Return where something is mounted below an engine's data, oldest first."""
    places = [line.split(" ")[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [place for place in places if place.startswith(str(home))]


def contained(home: Path) -> Iterator[int]:
    """Yield the processes in containers of an engine: their root directory is mounted from its data."""
    for process in _others():
        with contextlib.suppress(OSError):
            lines = (process / "mountinfo").read_text().splitlines()
            if any(line.split(" ")[4] == "/" and str(home) in line for line in lines):
                yield int(process.name)


def _engines(home: Path) -> Iterator[int]:
    """Yield the processes of an engine itself: it is started with the paths of its data."""
    for process in _others():
        with contextlib.suppress(OSError):
            if str(home).encode() in (process / "cmdline").read_bytes():
                yield int(process.name)


def _others() -> Iterator[Path]:
    here = str(os.getpid())
    return (entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and entry.name != here)
