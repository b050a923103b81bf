"""What keeps a container's files for us: two private memory volumes, and a process that holds them.

A memory volume lives while a container that mounts it runs, so a second container with nothing in it but
a program that sleeps outlives the first one. Through it the input goes in before the start and the output
comes out after the end, both by the engine's archive calls: no directory of the host is shared, the
engine may run elsewhere, and the kernel holds the size.
"""

import asyncio
import hashlib
import io
import json
import logging
import struct
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

import aiohttp
from aiodocker.exceptions import DockerError

from qrt_executor.adapters.containers.engine import GONE, UNREACHABLE, Engine, EngineFailed

log = logging.getLogger(__name__)

INPUT = "/in"
OUTPUT = "/out"
NOBODY = "65534:65534"
_MACHINES = {
    "amd64": (62, "b8220000000f05ebf7"),
    "arm64": (183, "280980d2000080d2010080d2020080d2030080d2010000d4faffff17"),
}
"""ELF machine number, and a loop around the system call that waits for a signal."""
_BASE = 0x400000
_PAGE = 4096
_DOCKERFILE = b'FROM scratch\nCOPY hold /hold\nENTRYPOINT ["/hold"]\n'


def holder_program(architecture: str) -> bytes:
    """Return an executable that sleeps for ever. Raises EngineFailed for an unknown architecture."""
    try:
        machine, code_hex = _MACHINES[architecture]
    except KeyError:
        known = ", ".join(_MACHINES)
        raise EngineFailed(f"the engine is of architecture {architecture}; known: {known}") from None
    code = bytes.fromhex(code_hex)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _BASE + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = 120 + len(code)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, _PAGE)
    return ident + header + segment + code


def tar_of(files: Mapping[str, bytes], *, mode: int) -> BinaryIO:
    """Return a tar archive of plain files, at its beginning."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    packed.seek(0)
    return packed


async def make_holder_image(engine: Engine, *, labels: Mapping[str, str]) -> str:
    """Return the name of the holder's image, built if it is not there.

    Raises EngineFailed, DockerError, or what `UNREACHABLE` holds.
    """
    program = holder_program((await engine.docker.version())["Arch"])
    tag = f"qrt-holder:{hashlib.sha256(program).hexdigest()[:16]}"
    try:
        await engine.ask("GET", f"images/{tag}/json")
    except DockerError as exc:
        if exc.status != GONE:
            raise
        await _build(engine, program, tag=tag, labels=labels)
    return tag


async def _build(engine: Engine, program: bytes, *, tag: str, labels: Mapping[str, str]) -> None:
    context = tar_of({"Dockerfile": _DOCKERFILE, "hold": program}, mode=0o755)
    params = {"t": tag, "rm": "true", "forcerm": "true", "labels": json.dumps(dict(labels))}
    headers = {"Content-Type": "application/x-tar"}
    async with engine.request("POST", "build", params=params, data=context, headers=headers) as response:
        async for message in engine.messages(response):
            if "error" in message:
                raise EngineFailed(f"the engine cannot build the holder's image: {message['error']}")


class Holder:
    """The volumes of one attempt and the container that holds them. Whoever made it closes it."""

    def __init__(self, engine: Engine, *, image: str, name: str, labels: Mapping[str, str]) -> None:
        self._engine = engine
        self._image = image
        self._labels = dict(labels)
        self._container: str | None = None
        self.name = name
        self.input = f"{name}-in"
        self.output = f"{name}-out"

    async def open(self, files: Mapping[str, bytes], *, output_bytes: int, entries: int) -> None:
        """Make the volumes, with `files` in the input. Raises DockerError, or what `UNREACHABLE` holds."""
        pages = sum(len(data) // _PAGE + 1 for data in files.values())
        await self._volume(self.input, size=(pages + 16) * _PAGE, entries=len(files) + 16)
        await self._volume(self.output, size=output_bytes, entries=entries)
        made = await self._engine.ask(
            "POST", "containers/create", params={"name": f"{self.name}-holder"}, body=self._config()
        )
        self._container = made["Id"]
        await self._engine.ask("POST", f"containers/{self._container}/start")
        if files:
            packed = await asyncio.to_thread(tar_of, files, mode=0o444)
            path = f"containers/{self._container}/archive"
            headers = {"Content-Type": "application/x-tar"}
            async with self._engine.request(
                "PUT", path, params={"path": INPUT}, data=packed, headers=headers
            ):
                return

    def _config(self) -> dict[str, Any]:
        mounts = [mount(self.input, INPUT), mount(self.output, OUTPUT)]
        host = {
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "none"},
            "PidsLimit": 8,
            "Memory": 32 << 20,
            "MemorySwap": 32 << 20,
            "Mounts": mounts,
        }
        return {"Image": self._image, "User": NOBODY, "Labels": self._labels, "HostConfig": host}

    async def _volume(self, name: str, *, size: int, entries: int) -> None:
        # In blocks: a `size` would be a project quota to Podman, which takes it out of the options.
        blocks = -(-size // _PAGE)
        options = f"nr_blocks={blocks},nr_inodes={entries},mode=1777,nosuid,nodev,noexec"
        await self._engine.ask(
            "POST",
            "volumes/create",
            body={
                "Name": name,
                "Driver": "local",
                "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": options},
                "Labels": self._labels,
            },
        )

    @asynccontextmanager
    async def archive(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give the tar stream of something below the holder's root. Raises DockerError."""
        call = self._engine.request("GET", f"containers/{self._container}/archive", params={"path": path})
        async with call as response:
            yield response

    async def close(self) -> None:
        """Remove it all, as far as the engine lets us; what is left is swept later. Idempotent."""
        try:
            if self._container is not None:
                await self._engine.remove(self._container)
            await self._engine.remove_volume(self.input)
            await self._engine.remove_volume(self.output)
        except (DockerError, *UNREACHABLE) as exc:
            log.warning("the volumes of %s are left for the next sweep: %s", self.name, exc)


def mount(volume: str, target: str, *, read_only: bool = False) -> dict[str, Any]:
    """Return one entry of a container's mounts."""
    return {
        "Type": "volume",
        "Source": volume,
        "Target": target,
        "ReadOnly": read_only,
        "VolumeOptions": {"NoCopy": True},
    }
