"""Base images without a registry: a Debian with Python by debootstrap, and nothing but a static busybox."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from qrt_executor.adapters.containers.engine import Engine
from tests.docker.daemon import NoEngineError, NotInstalledError

PYTHON = "qrt-test/python:1"
BUSYBOX = "qrt-test/busybox:1"
_MAKE_BASE = Path(__file__).with_name("make-base")
_APPLETS = ("sh", "cat", "dd", "ln", "mkfifo", "mknod", "sleep", "id", "ls", "mkdir", "wget", "yes")


class NoBaseError(NoEngineError):
    """No base image can be made here; the text says what is missing."""


def python_base() -> Path:
    """Return the archive of a file system with Python, at `/usr/bin/python` too. Minutes at first, then none.

    Raises NoBaseError.
    """
    done = subprocess.run([_MAKE_BASE, "python3"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoBaseError(done.stderr.strip())
    return Path(done.stdout.strip())


def busybox_base(directory: Path) -> Path:
    """Return the archive of a file system of one static program. Raises NotInstalledError."""
    found = shutil.which("busybox")
    if found is None or "not a dynamic" not in _ldd(found):
        raise NotInstalledError("a static busybox", "busybox-static")
    path = directory / "busybox.tar"
    with tarfile.open(path, mode="w") as archive:
        archive.add(os.path.realpath(found), "bin/busybox")
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
            archive.addfile(link)
    return path


def _ldd(program: str) -> str:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


async def load(engine: Engine, name: str, base: Path) -> None:
    """Import a file system as an image: what `docker import` does."""
    params, headers = {"fromSrc": "-"}, {"Content-Type": "application/x-tar"}
    image = ""
    with base.open("rb") as data:
        async with engine.request(
            "POST", "images/create", params=params, data=data, headers=headers
        ) as reply:
            async for message in engine.messages(reply):
                image = message["status"]
    repository, _, tag = name.rpartition(":")
    await engine.ask("POST", f"images/{image}/tag", params={"repo": repository, "tag": tag})
