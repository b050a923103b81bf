"""An output directory as the engine packs it: read within budgets, nothing of it unpacked on the host.

The archive is spooled to a nameless file and only looked through: links, devices and pipes in it are
names with a reason, and what is kept is read from where it lies in the spool.
"""

import asyncio
import os
import tarfile
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import aiohttp

from qrt_contracts.values import SkippedFile
from qrt_executor.domain.filenames import misnamed, shown
from qrt_executor.ports import FileBudget, LeftFile, Leftovers

RESULT = "output.json"
_PIECE_BYTES = 1 << 20
_TOLD = 100
"""Reasons that are told one by one; the rest is counted."""
_ENTRY_BYTES = 2048
"""What the archive takes for an entry, its content aside."""


class Spool:
    """The archive of one output directory."""

    def __init__(self, directory: Path) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed by `close`
        self._places: dict[str, int] = {}
        self._result: tuple[int, int] | None = None
        self._seen_all = False

    async def fill(self, response: aiohttp.ClientResponse, budget: FileBudget) -> bool:
        """Write the archive down; False if it is longer than what is looked at: it has files of holes."""
        left = budget.bytes + budget.entries * _ENTRY_BYTES + _PIECE_BYTES
        async for data in response.content.iter_chunked(_PIECE_BYTES):
            await asyncio.to_thread(self._file.write, data[:left])
            left -= len(data)
            if left < 0:
                return False
        return True

    def look(self, budget: FileBudget, *, whole: bool) -> Leftovers:
        """Return what is in the archive, by the same rules as on a host's directory."""
        walk = _Walk(budget, self._places)
        length = self._file.seek(0, os.SEEK_END)
        walking = True
        self._file.seek(0)
        try:
            with tarfile.open(fileobj=self._file, mode="r:", errorlevel=0) as archive:
                for entry in archive:
                    if entry.offset_data + (entry.size if entry.isreg() else 0) > length:
                        break
                    if _path(entry) == RESULT and _plain(entry):
                        self._result = (entry.offset_data, entry.size)
                    walking = walking and walk.take(entry)
                else:
                    self._seen_all = whole
        except tarfile.TarError as exc:
            if whole:
                walk.skip("…", f"the rest of the directory cannot be read: {exc}")
        if not whole:
            walk.skip("…", "the rest of the directory is too long to be looked at")
        return walk.leftovers()

    async def result(self, *, limit: int) -> bytes | None:
        """Return what is in `output.json`, None if `look` has found no such plain file.

        Raises ValueError if it has more than `limit` bytes, or may lie behind what was looked at.
        """
        if self._result is None:
            if not self._seen_all:
                raise ValueError("it may lie behind more than is looked at of the output directory")
            return None
        at, size = self._result
        if size > limit:
            raise ValueError(f"it has {size} bytes where {limit} are allowed")
        return await asyncio.to_thread(os.pread, self._file.fileno(), size, at)

    async def content(self, file: LeftFile) -> AsyncIterator[bytes]:
        """Yield the content of a file that `look` has returned."""
        at, end = self._places[file.name], self._places[file.name] + file.size
        while at < end:
            size = min(_PIECE_BYTES, end - at)
            data = await asyncio.to_thread(os.pread, self._file.fileno(), size, at)
            if not data:
                raise OSError(0, "the spool is shorter than it was")
            yield data
            at += len(data)

    def close(self) -> None:
        """Let go of the space."""
        self._file.close()


def _path(entry: tarfile.TarInfo) -> str:
    """Return the path below the directory that was packed, whose name comes first."""
    return entry.name.partition("/")[2]


def _plain(entry: tarfile.TarInfo) -> bool:
    return entry.isreg() and not entry.issparse()


class _Walk:
    def __init__(self, budget: FileBudget, places: dict[str, int]) -> None:
        self._budget = budget
        self._places = places
        self._files: list[LeftFile] = []
        self._skipped: list[SkippedFile] = []
        self._untold = 0
        self._entries = 0
        self._bytes = 0

    def take(self, entry: tarfile.TarInfo) -> bool:
        """Take one entry in; False if no more are looked at."""
        path = _path(entry)
        if not path:
            return True  # the directory itself
        self._entries += 1
        if self._entries > self._budget.entries:
            self.skip("…", f"more than {self._budget.entries} entries; the rest is left out")
            return False
        reason = misnamed(path) or self._unfit(path, entry)
        if reason is not None:
            self.skip(path, reason)
        elif entry.isreg():
            self._bytes += entry.size
            self._places[path] = entry.offset_data
            self._files.append(LeftFile(name=path, size=entry.size))
        return True

    def _unfit(self, path: str, entry: tarfile.TarInfo) -> str | None:
        budget = self._budget
        if path.count("/") >= budget.depth:
            return f"directories are nested deeper than {budget.depth}"
        if entry.isdir():
            return None
        if entry.issym():
            return "it is a symbolic link"
        if entry.islnk():
            return "the file has more than one name (a hard link)"
        if not _plain(entry):
            return "it is neither a file nor a directory"
        if len(self._files) >= budget.files:
            return f"there are more than {budget.files} files"
        if entry.size > budget.file_bytes:
            return f"its {entry.size} bytes are over the limit of {budget.file_bytes} for one file"
        if self._bytes + entry.size > budget.bytes:
            return f"with its {entry.size} bytes all files are over the limit of {budget.bytes} together"
        return None

    def skip(self, path: str, reason: str) -> None:
        """Tell of something that is not kept."""
        if len(self._skipped) < _TOLD:
            self._skipped.append(SkippedFile(name=shown(path), reason=reason))
        else:
            self._untold += 1

    def leftovers(self) -> Leftovers:
        """Return what was found."""
        if self._untold:
            self._skipped.append(SkippedFile(name="…", reason=f"{self._untold} more were left out"))
        return Leftovers(files=tuple(self._files), skipped=tuple(self._skipped))
