"""What a program has left in its output directory, read without following anything it may have laid.

Every process of the attempt is dead, so nothing changes any more; still only plain files and plain
directories are opened, each by its checked path below the directory's own descriptor, within budgets.
Whatever is passed over is told with its reason.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from qrt_contracts.values import SkippedFile
from qrt_executor.domain.filenames import misnamed, shown
from qrt_executor.ports import FileBudget, LeftFile, Leftovers

_SYS_OPENAT2 = 437
_RESOLVE = 0x01 | 0x02 | 0x04 | 0x08  # NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_TOLD = 100
"""Reasons that are told one by one; the rest is counted."""
_READ_BYTES = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class _Walk:
    root: int
    budget: FileBudget
    files: list[LeftFile] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    untold: int = 0
    entries: int = 0
    bytes: int = 0

    def directory(self, path: str, depth: int) -> None:
        names = self._names(path)
        for name in names:
            below = f"{path}/{name}" if path else name
            reason = misnamed(below) or self._visit(below, depth)
            if reason is not None:
                self._skip(below, reason)

    def _names(self, path: str) -> list[str]:
        """Return a directory's names in order, as many as there may still be entries."""
        try:
            fd = _open_patiently(self.root, path, os.O_DIRECTORY) if path else os.dup(self.root)
        except OSError as exc:
            self._skip(path, f"it cannot be opened: {exc.strerror}")
            return []
        names: list[str] = []
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    if self.entries >= self.budget.entries:
                        self._skip(
                            path or ".", f"more than {self.budget.entries} entries; the rest is left out"
                        )
                        break
                    self.entries += 1
                    names.append(entry.name)
        finally:
            os.close(fd)
        return sorted(names)

    def _visit(self, path: str, depth: int) -> str | None:
        """Take one entry in; return the reason if it is not taken."""
        try:
            found = os.stat(path, dir_fd=self.root, follow_symlinks=False)
        except OSError as exc:
            return f"it cannot be looked at: {exc.strerror}"
        if stat.S_ISDIR(found.st_mode):
            if depth >= self.budget.depth:
                return f"directories are nested deeper than {self.budget.depth}"
            self.directory(path, depth + 1)
            return None
        return _unfit(found) or self._over(found.st_size) or self._keep(path, found.st_size)

    def _over(self, size: int) -> str | None:
        if len(self.files) >= self.budget.files:
            return f"there are more than {self.budget.files} files"
        if size > self.budget.file_bytes:
            return f"its {size} bytes are over the limit of {self.budget.file_bytes} for one file"
        if self.bytes + size > self.budget.bytes:
            return f"with its {size} bytes all files are over the limit of {self.budget.bytes} together"
        return None

    def _keep(self, path: str, size: int) -> str | None:
        try:
            os.close(_open_patiently(self.root, path, 0))
        except OSError as exc:
            return f"it cannot be opened: {exc.strerror}"
        self.bytes += size
        self.files.append(LeftFile(name=path, size=size))
        return None

    def _skip(self, path: str, reason: str) -> None:
        if len(self.skipped) < _TOLD:
            self.skipped.append(SkippedFile(name=shown(path), reason=reason))
        else:
            self.untold += 1


def leftovers(directory: int, *, budget: FileBudget) -> Leftovers:
    """Return what is in a directory, by its descriptor. Every process that could write there is dead."""
    with suppress(OSError):
        os.fchmod(directory, 0o700)  # a program may have closed it, to itself and to us
    walk = _Walk(directory, budget)
    walk.directory("", 1)
    if walk.untold:
        walk.skipped.append(SkippedFile(name="…", reason=f"{walk.untold} more were left out"))
    return Leftovers(files=tuple(walk.files), skipped=tuple(walk.skipped))


def is_empty(directory: int) -> bool:
    """Tell whether there is nothing in a directory; False if it cannot be told."""
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def content(directory: int, file: LeftFile) -> Iterator[bytes]:
    """Yield a file's content, never more than the size it was found with. Raises OSError."""
    fd = _open_patiently(directory, file.name, 0)
    try:
        left = file.size
        while left and (data := os.read(fd, min(left, _READ_BYTES))):
            left -= len(data)
            yield data
    finally:
        os.close(fd)


def _open_patiently(root: int, path: str, flags: int) -> int:
    """Open a path below `root`, giving ourselves the right to it if the program has taken it away."""
    try:
        fd = _open_beneath(root, path, flags)
    except PermissionError:
        os.chmod(path, 0o700, dir_fd=root)  # no link, as was seen before; nobody is left to lay one
        fd = _open_beneath(root, path, flags)
    found = os.fstat(fd)
    if stat.S_ISDIR(found.st_mode) if flags & os.O_DIRECTORY else _unfit(found) is None:
        return fd
    os.close(fd)
    raise OSError(0, "it is not what it was")


def _open_beneath(root: int, path: str, flags: int) -> int:
    how = struct.pack("QQQ", _FLAGS | flags, 0, _RESOLVE)
    fd = int(_libc.syscall(ctypes.c_long(_SYS_OPENAT2), root, path.encode(), how, ctypes.c_size_t(len(how))))
    if fd < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), path)
    return fd


def _unfit(found: os.stat_result) -> str | None:
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISREG(found.st_mode):
        return "it is neither a file nor a directory"
    if found.st_nlink > 1:
        return "the file has more than one name (a hard link)"
    return None
