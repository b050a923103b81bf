"""What this machine's kernel offers."""

import ctypes

LANDLOCK_VERSION = 6
"""The least that the level `landlock` stands on."""
_CREATE_RULESET, _VERSION = 444, 1


def landlock_version() -> int:
    """Return the version of Landlock; below 1 if there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(
        libc.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_long(_VERSION))
    )
