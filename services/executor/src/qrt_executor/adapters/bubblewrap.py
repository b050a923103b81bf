"""The sandbox a zygote stands in at level `jail`: what bubblewrap is told."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from qrt_executor.adapters.environment import ProgramEnvironment

WORK, TMP = "/job", "/tmp"  # noqa: S108 - the jail's own
INPUT, OUTPUT = "/var/runtime/input", "/var/runtime/output"
_NOBODY = "65534"
_TMP_BYTES = 64 << 20
_PASSWD = f"nobody:x:{_NOBODY}:{_NOBODY}:nobody:{WORK}:/bin/sh\n"
_GROUP = f"nogroup:x:{_NOBODY}:\n"
_HIDDEN = (TMP, WORK, INPUT, OUTPUT, "/dev", "/proc")
_ELSEWHERE = Path("/opt/environment")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "fd": "/proc/self/fd",
    "core": "/proc/kcore",
    "ptmx": "pts/ptmx",
}
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
_NAMES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl/certs", "/etc/ca-certificates")
_FROM_ETC = ("/etc/ld.so.cache", "/etc/fonts", "/etc/alternatives", "/etc/localtime")


def find_bubblewrap() -> str | None:
    """Return the path of bwrap, None if it is not installed."""
    return shutil.which("bwrap", path="/usr/local/bin:/usr/bin:/bin")


def write_accounts(home: Path) -> None:
    """Write the only accounts that a jail knows."""
    for name, text in (("passwd", _PASSWD), ("group", _GROUP)):
        (home / name).write_text(text)
        (home / name).chmod(0o644)


def sandboxed(
    bwrap: str,
    command: list[str],
    *,
    environment: ProgramEnvironment,
    environ: Mapping[str, str],
    home: Path,
    network: bool,
) -> list[str]:
    """Return the command that runs `command` as pid 1 of a sandbox with nothing but its environment.

    It keeps one right, CAP_SYS_ADMIN in the sandbox's own user namespace: a zygote makes its jails' pid
    namespaces by it, and goes back to its own. No jail keeps it.

    `network` leaves the host's to the zygote, which runs no program, for the jails that may have it.
    `home` holds the files of `write_accounts`. The root and /dev are made read-only last: they are
    file systems of the sandbox that all its jails share.
    """
    places = _places(environment.roots)
    arguments = [
        bwrap,
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        *(() if network else ("--unshare-net",)),
        *("--unshare-cgroup-try", "--uid", _NOBODY, "--gid", _NOBODY, "--hostname", "job"),
        *("--die-with-parent", "--new-session", "--as-pid-1", "--cap-add", "CAP_SYS_ADMIN"),
        *system(names=network),
        *(word for path, place in places.items() for word in ("--ro-bind", str(path), str(place))),
        *("--ro-bind", str(home / "passwd"), "/etc/passwd", "--ro-bind", str(home / "group"), "/etc/group"),
        *("--proc", "/proc", *_devices()),
        *("--dir", WORK, "--dir", INPUT, "--dir", OUTPUT),
        *("--size", str(_TMP_BYTES), "--tmpfs", TMP, "--clearenv"),
        *(word for name, value in environ.items() for word in ("--setenv", name, value)),
        *("--chdir", "/", "--remount-ro", "/dev", "--remount-ro", "/", "--"),
    ]
    return arguments + [_inside(word, places) for word in command]


def system(*, names: bool) -> list[str]:
    """Return how to give a sandbox the host's programs and libraries; `names`: also what finds hosts."""
    etc = (*_FROM_ETC, *(_NAMES if names else ()))
    links = [word for path in etc for word in ("--ro-bind-try", path, path)]
    return ["--ro-bind", "/usr", "/usr", *_system_links(), *links]


def _devices() -> list[str]:
    """Return how to give the sandbox a /dev.

    As bubblewrap's `--dev` makes it, but without terminals: each jail has its own, and for them bubblewrap
    would add a second user namespace, below the one that owns the pid namespace to go back to.
    """
    devices = [word for name in _DEVICES for word in ("--dev-bind", f"/dev/{name}", f"/dev/{name}")]
    links = [word for name, target in _DEVICE_LINKS.items() for word in ("--symlink", target, f"/dev/{name}")]
    return ["--tmpfs", "/dev", *devices, *links, "--dir", "/dev/pts", "--dir", "/dev/shm"]  # noqa: S108


def _places(roots: Iterable[Path]) -> dict[Path, Path]:
    """Return where each directory of the environment stands in the sandbox.

    It stands where it does on the host, but for what a jail's own file systems would hide: an
    environment under /tmp would lose whatever it imports after its start.
    """
    return {
        root: _ELSEWHERE / str(number) if any(root.is_relative_to(each) for each in _HIDDEN) else root
        for number, root in enumerate(roots)
    }


def _inside(word: str, places: Mapping[Path, Path]) -> str:
    """Return a word of the command with a path of the host turned into the sandbox's."""
    for root, place in places.items():
        if word.startswith("/") and Path(word).is_relative_to(root):
            return str(place / Path(word).relative_to(root))
    return word


def _system_links() -> list[str]:
    """Return how to give the sandbox /bin and its like, as this host has them."""
    arguments: list[str] = []
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    return arguments
