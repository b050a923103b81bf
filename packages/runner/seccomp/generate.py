"""Write the seccomp filters that jails load: `job.<machine>.bpf` in the runner's package.

    /usr/bin/python3 packages/runner/seccomp/generate.py [--check]

Needs libseccomp's own Python binding (Debian: python3-seccomp, for the system's interpreter). The
filters are committed, so that nothing needs the binding at run time; `--check` fails if what is
committed is not what this writes.

An allowlist. What a program asks for and is not on it is answered with ENOSYS, as by a kernel that
does not know the call, so that libraries fall back; what is known and refused on purpose, with EPERM.
"""

import errno
import sys
import tempfile
from pathlib import Path

import seccomp
from calls import ALLOWED, REFUSED

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "qrt_runner"
MACHINES = {"x86_64": seccomp.Arch.X86_64, "aarch64": seccomp.Arch.AARCH64}

# Left to ENOSYS on purpose, since libraries have a way without: clone3, io_uring_*, memfd_create,
# memfd_secret.

NAMESPACES = 0x7E020000  # every CLONE_NEW* flag that clone(2) takes
FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
S_IFMT, S_IFIFO = 0o170000, 0o010000


def add(filter_, action, name, *arguments):
    """Add a rule if the machine has that call."""
    try:
        filter_.add_rule(action, name, *arguments)
    except (OSError, RuntimeError) as exc:
        if getattr(exc, "errno", None) not in (None, errno.EDOM, errno.EFAULT, errno.EINVAL):
            raise


def build(arch):
    """Return the filter for one machine."""
    made = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    if arch != seccomp.Arch():
        made.remove_arch(seccomp.Arch())
        made.add_arch(arch)
    for name in ALLOWED:
        add(made, seccomp.ALLOW, name)
    for name in REFUSED:
        add(made, seccomp.ERRNO(errno.EPERM), name)
    # On both machines the flags of clone are its first argument.
    add(made, seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, NAMESPACES, 0))
    for family in FAMILIES:
        add(made, seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, family))
    add(made, seccomp.ALLOW, "socketpair", seccomp.Arg(0, seccomp.EQ, FAMILIES[0]))
    add(made, seccomp.ALLOW, "mknod", seccomp.Arg(1, seccomp.MASKED_EQ, S_IFMT, S_IFIFO))
    add(made, seccomp.ALLOW, "mknodat", seccomp.Arg(2, seccomp.MASKED_EQ, S_IFMT, S_IFIFO))
    return made


def exported(arch):
    """Return a filter as the bytes that the kernel takes."""
    with tempfile.TemporaryFile() as file:
        build(arch).export_bpf(file)
        file.seek(0)
        return file.read()


def main():
    """Write the filters, or compare them."""
    checking = sys.argv[1:] == ["--check"]
    for machine, arch in MACHINES.items():
        path, data = PACKAGE / f"job.{machine}.bpf", exported(arch)
        if not checking:
            path.write_bytes(data)
        elif path.read_bytes() != data:
            raise SystemExit(f"{path.name} is not what generate.py writes")
        print(f"{path.name}: {len(data) // 8} instructions")


if __name__ == "__main__":
    main()
