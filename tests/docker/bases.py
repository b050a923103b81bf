"""Base images without a registry: this machine's Python with its libraries, and a static busybox."""

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from qrt_executor.adapters.containers.engine import Engine
from tests.docker.daemon import NotInstalledError

PYTHON = "qrt-test/python:1"
BUSYBOX = "qrt-test/busybox:1"
_LEFT_OUT = re.compile(
    r"(^|/)(test|tests|__pycache__|site-packages|dist-packages|idlelib|tkinter|ensurepip|turtledemo|config-.*)(/|$)"
    r"|\.a$|lib2to3|pydoc_data"
)
_APPLETS = ("sh", "cat", "dd", "ln", "mkfifo", "mknod", "sleep", "id", "ls", "mkdir", "wget", "yes")


def _libraries(programs: Sequence[Path]) -> set[Path]:
    done = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False)
    return {Path(found) for found in re.findall(r"(/\S+\.so\S*) \(0x", done.stdout)}


def _python_files() -> Iterator[tuple[str, Path]]:
    binary = Path(os.path.realpath(sys.executable))
    stdlib = Path(sysconfig.get_path("stdlib"))
    linked = [binary]
    for found in sorted(stdlib.rglob("*")):
        if found.is_file() and not _LEFT_OUT.search(str(found.relative_to(stdlib))):
            yield str(found), found
            linked += [found] if found.suffix == ".so" else []
    yield str(binary), binary
    for library in sorted(_libraries(linked)):
        yield str(library), Path(os.path.realpath(library))


def python_base() -> bytes:
    """Return the file system of an image with Python at /usr/bin/python."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, source in _python_files():
            archive.add(source, name.lstrip("/"), recursive=False)
        link = tarfile.TarInfo("usr/bin/python")
        link.type, link.linkname = tarfile.SYMTYPE, os.path.realpath(sys.executable)
        archive.addfile(link)
    return packed.getvalue()


def busybox_base() -> bytes:
    """Return the file system of an image with nothing but a static busybox."""
    found = shutil.which("busybox")
    if found is None or "not a dynamic" not in _ldd(found):
        raise NotInstalledError("a static busybox", "busybox-static")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(os.path.realpath(found), "bin/busybox")
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
            archive.addfile(link)
    return packed.getvalue()


def _ldd(program: str) -> str:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


async def load(engine: Engine, name: str, base: bytes) -> None:
    """Import a file system as an image."""
    repository, _, tag = name.rpartition(":")
    params = {"fromSrc": "-", "repo": repository, "tag": tag}
    headers = {"Content-Type": "application/x-tar"}
    async with engine.request(
        "POST", "images/create", params=params, data=io.BytesIO(base), headers=headers
    ) as reply:
        async for message in engine.messages(reply):
            assert "error" not in message, message
