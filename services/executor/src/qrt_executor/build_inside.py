"""The first process of a build: a script of its own, run with `-I -S` by path, in the build's sandbox.

    python -I -S build_inside.py NETWORK FILTER PROCESSES FILE_BYTES -- COMMAND...

With NETWORK `proxy` it opens a listening socket in this network namespace, hands it to the executor by
descriptor 3, and names it to COMMAND as its proxy. Then it sets the limits of the kernel (PROCESSES 0 is
none: without a user namespace they are counted over all that the user runs), loads the system call
filter FILTER (a path, or `-`), and becomes COMMAND.
"""

import array
import ctypes
import os
import resource
import socket
import struct
import sys

_CONTROL = 3
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2


def main(arguments: list[str]) -> None:
    """Prepare this process and become the command."""
    network, filter_path, processes, file_bytes = arguments[1:5]
    command = arguments[arguments.index("--") + 1 :]
    environ = dict(os.environ)
    if network == "proxy":
        proxy = f"http://127.0.0.1:{_hand_over_listener()}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            environ[name] = environ[name.upper()] = proxy
    os.close(_CONTROL)
    _limit(int(processes), int(file_bytes))
    if filter_path != "-":
        _load_filter(filter_path)
    os.execve(command[0], command, environ)  # noqa: S606 - given as a list by the executor itself


def _hand_over_listener() -> int:
    with socket.socket(fileno=os.dup(_CONTROL)) as control, socket.create_server(("127.0.0.1", 0)) as server:
        rights = array.array("i", [server.fileno()])
        control.sendmsg([b"listening"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        port: int = server.getsockname()[1]
        return port


def _limit(processes: int, file_bytes: int) -> None:
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: file_bytes, resource.RLIMIT_NOFILE: 4096}
    if processes:
        limits[resource.RLIMIT_NPROC] = processes
    for which, value in limits.items():
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def _load_filter(path: str) -> None:
    with open(path, "rb") as file:
        program = file.read()
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), filter_, 0, 0
    ):
        raise OSError(ctypes.get_errno(), "the system call filter cannot be loaded")


if __name__ == "__main__":
    main(sys.argv)
