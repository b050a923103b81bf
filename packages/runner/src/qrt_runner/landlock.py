"""Confinement without namespaces: a Landlock domain per attempt, and a second system call filter.

What the domain does not reach, the filter takes away: sessions and process groups of its own (so that
one signal to its group reaches all that a program has started) and every socket that could leave it.
"""

import os
import platform
import struct
from collections.abc import Iterable

from qrt_runner import system

ABI = 6
"""The least version that confines signals and abstract sockets as well: Linux 6.12."""

_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_ALL_FILES = (1 << 16) - 1
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | 1 << 15
_MAKE_CHAR, _MAKE_BLOCK, _IOCTL_DEV = 1 << 6, 1 << 11, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OWN = _ALL_FILES & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
_ALL_TCP = 3
_ALL_SCOPES = 3

_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64",
    "/etc/ld.so.cache", "/etc/fonts", "/etc/alternatives", "/etc/localtime",
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_EPERM, _EACCES = 1, 13
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _RETURN, _AND = 0x20, 0x15, 0x06, 0x54
_NR, _ARGUMENTS = 0, 16
_DGRAM, _TYPE = 2, 0xF
_CALLS = {
    "x86_64": {"setsid": 112, "setpgid": 109, "socket": 41, "connect": 42, "socketpair": 53},
    "aarch64": {"setsid": 157, "setpgid": 154, "socket": 198, "connect": 203, "socketpair": 199},
}


def check() -> None:
    """Raise OSError where the kernel cannot hold the level."""
    version = system.call(_SYS_CREATE_RULESET, 0, 0, _CREATE_RULESET_VERSION)
    if version < ABI:
        raise OSError(0, f"Landlock has version {version} here; {ABI} is needed (Linux 6.12)")


def confine(*, readable: Iterable[str], own: str) -> None:
    """Restrict this process for good to reading `readable` and the system, and to its `own` tree."""
    attributes = struct.pack("QQQ", _ALL_FILES, _ALL_TCP, _ALL_SCOPES)
    ruleset = system.call(_SYS_CREATE_RULESET, attributes, len(attributes), 0)
    for path in (*_SYSTEM, *readable):
        _allow(ruleset, path, _READ)
    for path in _DEVICES:
        _allow(ruleset, path, _READ_FILE | _WRITE_FILE)
    _allow(ruleset, own, _OWN)
    system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)
    system.call(_SYS_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    system.load_filter(filter_program())


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):
        rights &= _ON_FILES
    try:
        system.call(_SYS_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)


def filter_program() -> bytes:
    """Return a filter to stack upon the one of jobs: no sessions, no groups, no socket that leaves.

    It looks at no architecture: the filter of jobs, loaded after it, refuses all but this one. Socket
    pairs of streams stay, on which asyncio and subprocesses stand; a pair of datagrams could be turned
    on any socket of the host.
    """
    calls = _CALLS[platform.machine()]
    code = [_word(_LOAD, _NR)]
    for name, errno in (("setsid", _EPERM), ("setpgid", _EPERM), ("socket", _EACCES), ("connect", _EACCES)):
        code += [_word(_EQUAL, calls[name], 0, 1), _word(_RETURN, _ERRNO | errno)]
    code += [
        _word(_EQUAL, calls["socketpair"], 1, 0),
        _word(_RETURN, _ALLOW),
        _word(_LOAD, _ARGUMENTS + 8),
        _word(_AND, _TYPE),
        _word(_EQUAL, _DGRAM, 0, 1),
        _word(_RETURN, _ERRNO | _EACCES),
        _word(_RETURN, _ALLOW),
    ]
    return b"".join(code)


def _word(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
