"""What attacking programs have in common."""

from tests.integration.executor.rig import RUN

PRELUDE = '''\
import ctypes, errno, os, resource, signal, socket, stat, struct, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def refused(act, *arguments):
    """None if it worked, else why it did not."""
    try:
        act(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return None

def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)

def syscall(number, *arguments):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if libc.syscall(ctypes.c_long(number), *words) == -1:
        raise OSError(ctypes.get_errno(), str(number))

def readable(path):
    with open(path, "rb") as file:
        return file.read(100)

def fill(directory, size=1 << 20):
    written = 0
    try:
        with open(os.path.join(directory, "fill"), "wb") as file:
            while True:
                written += file.write(b"x" * size)
                file.flush()
    except OSError as error:
        return [written, errno.errorcode[error.errno]]

def make_files(directory, most=100_000):
    for made in range(most):
        try:
            open(os.path.join(directory, f"f{made}"), "w").close()
        except OSError as error:
            return [made, errno.errorcode[error.errno]]
    return [most, None]

'''


def attack(*lines: str) -> str:
    """Return a program whose run() has these lines, the helpers above it."""
    return PRELUDE + RUN + "".join(f"    {line}\n" for line in lines)
