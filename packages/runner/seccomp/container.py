"""Write the seccomp profile of an executor's container: `deploy/executor-seccomp.json`.

    python3 packages/runner/seccomp/container.py [--check]

An allowlist for container engines: what programs may use, and what bubblewrap and the zygote need to make
sandboxes. Programs themselves get their own, narrower filter on top of it. `--check` fails if what is
committed is not what this writes.
"""

import errno
import json
import sys
from pathlib import Path

from calls import ALLOWED

PROFILE = Path(__file__).resolve().parents[3] / "deploy" / "executor-seccomp.json"

_SANDBOXES = """
clone unshare setns mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick
pivot_root chroot sethostname setdomainname
"""
_SERVICE = "memfd_create mknod mknodat socketpair sched_setaffinity sched_setscheduler"
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6; AF_NETLINK brings up a sandbox's loopback


def profile():
    """Return the profile as engines read it."""
    families = [
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": family, "op": "SCMP_CMP_EQ"}],
        }
        for family in FAMILIES
    ]
    names = {*ALLOWED, *_SANDBOXES.split(), *_SERVICE.split()}
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [
            {"names": sorted(names), "action": "SCMP_ACT_ALLOW"},
            *families,
            # Its flags cannot be looked at: the C library falls back to clone.
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
        ],
    }


def main():
    """Write the profile, or compare it."""
    text = json.dumps(profile(), indent=2) + "\n"
    if sys.argv[1:] != ["--check"]:
        PROFILE.write_text(text)
    elif PROFILE.read_text() != text:
        raise SystemExit(f"{PROFILE.name} is not what container.py writes")


if __name__ == "__main__":
    main()
