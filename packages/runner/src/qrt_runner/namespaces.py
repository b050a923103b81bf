"""A jail's own world: user, pid, mount, ipc, net and uts namespaces, private file systems, no rights.

`furnish` and `settle` are called, in this order, in the process that will run the program; `NEWPID` is the
zygote's part (`jails`).
"""

import fcntl
import os
import platform
import socket
import struct

from qrt_runner import system

WORK, TMP = "/job", "/tmp"  # noqa: S108 - the jail's own
INPUT, OUTPUT = "/var/runtime/input", "/var/runtime/output"
INODES = 16384
"""Files and directories on each private file system."""

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, NEWPID, NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40


def furnish(*, disk_bytes: int) -> None:
    """As a process of a new pid namespace, with its zygote's right to mount: mount what is private."""
    system.unshare(_NEWNS | _NEWIPC | _NEWUTS)
    _mounts(disk_bytes)


def settle(uid: int, gid: int, *, network: bool) -> None:
    """Go on in a user namespace that knows `uid` and `gid`, this process's own, and nobody else.

    `network`: it stays in the network namespace of its zygote. Every right is gone afterwards.
    """
    system.unshare(_NEWUSER if network else _NEWUSER | NEWNET)
    system.prctl(system.PR_SET_DUMPABLE, 1)  # else the kernel owns /proc/self/uid_map
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _write("/proc/self/oom_score_adj", "1000")  # a machine short of memory takes jobs first
    if not network:
        _loopback_up()
    system.drop_capabilities()
    system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)


def _mounts(disk_bytes: int) -> None:
    system.mount(None, "/", None, system.MS_REC | system.MS_PRIVATE)
    plain = system.MS_NOSUID | system.MS_NODEV
    sized = f"size={disk_bytes},nr_inodes={INODES},mode=0700"
    for place in (TMP, "/dev/shm", WORK, INPUT, OUTPUT):  # noqa: S108
        system.mount("tmpfs", place, "tmpfs", plain, sized)
    system.mount("proc", "/proc", "proc", plain | system.MS_NOEXEC)
    terminals = "newinstance,ptmxmode=0666,mode=0620"  # the zygote's are shared with the siblings
    system.mount("devpts", "/dev/pts", "devpts", system.MS_NOSUID | system.MS_NOEXEC, terminals)


def _loopback_up() -> None:
    request = struct.pack("16sh14x", b"lo", _IFF_UP | _IFF_RUNNING)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def filter_program() -> bytes:
    """Return the seccomp filter for this machine. Raises OSError where none was generated."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, f"job.{platform.machine()}.bpf"), "rb") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
