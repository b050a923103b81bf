"""Start a zygote without the executor's rights: a script of its own, run with `-I -S` by path.

    python -I -S launch.py CONTROL UID GID PARENT REACH... -- COMMAND...

The descriptor CONTROL becomes COMMAND's descriptor 3, the only one above its standard streams.
Started as root, it becomes UID and GID for good before COMMAND starts; each REACH is a directory
that COMMAND must be able to read. Where a parent of one is closed to UID (an interpreter below a
home directory of mode 0700, say), that parent is covered, in a mount namespace of this process
alone, by an empty directory that holds nothing but the REACH directories, read-only unless REACH
begins with `+`. Not started as root, it just starts COMMAND. COMMAND dies with PARENT, the process
that has started this one.
"""

import ctypes
import os
import stat
import sys

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = (
    1, 2, 4, 32, 4096, 16384, 1 << 18,
)  # fmt: skip
_CONTROL = 3
_CLONE_NEWNS = 0x00020000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _SIGKILL = 1, 38, 9

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> None:
    """Drop the rights of root, if there are any, and become the command."""
    control, uid, gid, parent = map(int, arguments[1:5])
    split = arguments.index("--")
    reach, command = arguments[5:split], arguments[split + 1 :]
    _place(control)
    if os.geteuid() == 0:
        _make_reachable(reach)
        _drop(uid, gid)
    _check(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        raise SystemExit("the executor has gone")
    os.execv(command[0], command)  # noqa: S606 - given as a list by the executor itself


def _place(control: int) -> None:
    if control != _CONTROL:
        os.dup2(control, _CONTROL)
    os.set_inheritable(_CONTROL, True)
    os.closerange(_CONTROL + 1, os.sysconf("SC_OPEN_MAX"))


def _drop(uid: int, gid: int) -> None:
    if uid == 0 or gid == 0:
        raise SystemExit("a zygote never runs as root; set a service uid")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise SystemExit("the rights of root could not be given up")


def _make_reachable(reach: list[str]) -> None:
    """Cover each closed directory above a REACH directory, and bind what is needed back into it."""
    covered: dict[str, list[str]] = {}
    writable = {path[1:] for path in reach if path.startswith("+")}
    for path in (each.removeprefix("+") for each in reach):
        closed = _closed_above(path)
        if closed is not None:
            covered.setdefault(closed, []).append(path)
    if not covered:
        return
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    # Opened in the new namespace: the kernel binds nothing from another one's mounts.
    held = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for paths in covered.values() for path in paths}
    for closed, paths in covered.items():
        _mount("tmpfs", closed, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755,size=1m")
        for path in paths:
            os.makedirs(path, mode=0o755, exist_ok=True)
            _mount(f"/proc/self/fd/{held[path]}", path, None, _MS_BIND)
            rights = 0 if path in writable else _MS_RDONLY
            _mount(None, path, None, _MS_BIND | _MS_REMOUNT | rights | _MS_NOSUID | _MS_NODEV)
        _mount(None, closed, None, _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    for fd in held.values():
        os.close(fd)


def _closed_above(path: str) -> str | None:
    """Return the outermost directory on the way to `path`, itself included, that others cannot pass."""
    at = "/"
    for part in [p for p in path.split("/") if p]:
        at = os.path.join(at, part)
        if not os.stat(at).st_mode & stat.S_IXOTH:
            return at
    return None


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    result = _libc.mount(*words, ctypes.c_ulong(flags), None if data is None else data.encode())
    _check(result, f"mount {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), what)


if __name__ == "__main__":
    main(sys.argv)
