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


def clear(home: Path, *, bridge: str) -> None:
    """Remove an engine's processes, containers, mounts, bridge and data."""
    for pid in _processes(str(home).encode()):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if str(home) in line.split(" ")[1]:
            subprocess.run(["umount", "-l", line.split(" ")[1]], capture_output=True, check=False)
    ip = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if ip is not None:
        subprocess.run([ip, "link", "del", bridge], capture_output=True, check=False)
    shutil.rmtree(home, ignore_errors=True)


def _processes(home: bytes) -> Iterator[int]:
    """Yield the engine's processes, and those of its containers."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if home in (entry / "cmdline").read_bytes() or home in _root(entry):
                    yield int(entry.name)


def _root(process: Path) -> bytes:
    """Return what a process's root directory is mounted from."""
    lines = (process / "mountinfo").read_bytes().splitlines()
    return b" ".join(line for line in lines if line.split(b" ")[4] == b"/")
