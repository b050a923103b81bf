"""A control group per attempt, where the executor may make them: memory and process limits that hold.

Version 1 (a `memory` hierarchy, and `pids` if there is one) and version 2 (a delegated subtree). The
attempt's init joins by writing to a `cgroup.procs` that the executor has opened, so that no cgroup
file system is needed in the sandbox. Without a control group the executor watches memory itself.
"""

import contextlib
import errno
import itertools
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

_ROOT = Path("/sys/fs/cgroup")
_OVERHEAD_BYTES = 16 << 20
"""What the init and the parked process hold besides the program."""
_RUNTIME_PROCESSES = 2
_PAUSES = tuple(0.001 * 2**n for n in range(12))
"""Seconds between tries to remove a group: four seconds in all."""
_numbers = itertools.count(1)
"""One count for the process: executors in it make their groups side by side."""


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The control groups of one attempt."""

    memory: Path
    pids: Path | None
    version: int

    def open_procs(self) -> list[int]:
        """Return descriptors by whose writing a process joins; the caller closes them."""
        directories = [self.memory] if self.pids in (None, self.memory) else [self.memory, self.pids]
        return [os.open(each / "cgroup.procs", os.O_WRONLY) for each in directories if each is not None]

    def limit(self, *, memory_bytes: int, processes: int) -> None:
        """Set what the attempt may hold. Raises OSError."""
        total = str(memory_bytes + _OVERHEAD_BYTES)
        if self.version == 1:
            (self.memory / "memory.limit_in_bytes").write_text(total)
            self._if_there("memory.memsw.limit_in_bytes", total)
        else:
            (self.memory / "memory.max").write_text(total)
            self._if_there("memory.swap.max", "0")
            self._if_there("memory.oom.group", "1")
        if self.pids is not None:
            (self.pids / "pids.max").write_text(str(processes + _RUNTIME_PROCESSES))

    def _if_there(self, name: str, text: str) -> None:
        with contextlib.suppress(OSError):
            (self.memory / name).write_text(text)

    def out_of_memory(self) -> bool:
        """The kernel has killed a process of the attempt for its memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        with contextlib.suppress(OSError):
            for line in (self.memory / name).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1]) > 0
        return False

    def peak_bytes(self) -> int | None:
        """Return the most memory the attempt has held, None if the kernel does not say."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        try:
            return int((self.memory / name).read_text())
        except OSError:
            return None

    def remove(self) -> None:
        """Remove the groups, whose processes are dead; blocks while the kernel is not done with one.

        A process leaves its group a little after its death can be seen (Linux 6.18: when it was switched
        out for the last time), on a busy machine some milliseconds.
        """
        for directory in {self.memory, self.pids} - {None}:
            assert directory is not None  # noqa: S101 - taken out above
            for pause in _PAUSES:
                if _removed(directory):
                    break
                time.sleep(pause)
            else:
                log.warning("the control group %s is left behind: the kernel calls it busy", directory)


class Cgroups:
    """Makes control groups below one directory per hierarchy."""

    def __init__(self, *, memory: Path, pids: Path | None, version: int) -> None:
        self._memory = memory
        self._pids = pids
        self._version = version

    def make(self) -> Cgroup:
        """Return a fresh, empty group. Raises OSError."""
        name = f"qrt-{os.getpid()}-{next(_numbers)}"
        memory = self._memory / name
        memory.mkdir()
        pids = None if self._pids is None else self._pids / name
        if pids is not None:
            pids.mkdir(exist_ok=True)
        return Cgroup(memory, pids, self._version)


def _removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError as exc:
        if exc.errno != errno.EBUSY:
            log.warning("the control group %s is left behind: %s", directory, exc)
            return True
        return False
    return True


def find_cgroups() -> Cgroups | None:
    """Return where control groups can be made, None if nowhere."""
    try:
        own = _own_paths(Path("/proc/self/cgroup").read_text())
        found = _version_2(own) if (_ROOT / "cgroup.controllers").exists() else _version_1(own)
        found.make().remove()
    except (OSError, KeyError) as exc:
        log.info("memory is watched, not limited by the kernel: no control groups: %s", exc)
        return None
    return found


def _own_paths(text: str) -> dict[str, str]:
    """Return this process's path in each hierarchy, by controller; version 2 is the empty name."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path.lstrip("/")))
    return paths


def _version_1(own: dict[str, str]) -> Cgroups:
    memory = _ROOT / "memory" / own["memory"]
    if not (memory / "memory.limit_in_bytes").exists():
        memory = _ROOT / "memory"  # in a container the hierarchy's root is the container's own group
    pids = _ROOT / "pids" / own.get("pids", "")
    usable = (_ROOT / "pids").is_dir() and os.access(pids, os.W_OK)
    for directory in (memory, pids):
        _sweep(directory)
    return Cgroups(memory=memory, pids=pids if usable else None, version=1)


def _version_2(own: dict[str, str]) -> Cgroups:
    """Use this process's own group: it moves into a leaf, so that the group may have others."""
    base = _ROOT / own[""]
    leaf = base / "executor"
    leaf.mkdir(exist_ok=True)
    (leaf / "cgroup.procs").write_text("0")
    (base / "cgroup.subtree_control").write_text("+memory +pids")
    _sweep(base)
    return Cgroups(memory=base, pids=base, version=2)


def _sweep(directory: Path) -> None:
    """Remove what executors that are no more have left; the living ones' groups may be empty too."""
    for left in directory.glob("qrt-*-*"):
        owner = left.name.split("-")[1]
        if not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):
                left.rmdir()
