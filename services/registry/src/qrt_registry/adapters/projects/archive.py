"""A project's files out of an uploaded archive: zip, tar or tar.gz, by content and never by name.

Nothing is written to a disk, and everything is bounded while it is read: an archive lies about its sizes.
"""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from qrt_registry.adapters.projects.unfit import Unfit, shown

JUNK = frozenset({"__pycache__", ".git", ".venv", ".DS_Store", "__MACOSX"})
"""What tools leave behind; it is no part of a project."""
MAX_ENTRIES = 50_000
MAX_FILES = 5_000
MAX_DEPTH = 20
MAX_PATH_BYTES = 400
MAX_NAME_BYTES = 200
MAX_RATIO = 200
RATIO_FROM_BYTES = 8 << 20
"""Below this a project may be as compressible as it likes."""
_TAR_SLACK = 4
"""A tar is read through, junk and headers included: so many times the files' own budget."""
_PIECE = 1 << 20
_ENCRYPTED = 0x1
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error,
    EOFError, ValueError, LookupError, OverflowError,
)  # fmt: skip
"""What the readers raise at noise."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True)
class File:
    """One file of a project."""

    data: bytes
    executable: bool = False


Files = dict[str, File]
"""By path, its parts separated by `/`."""


def files_in(archive: bytes, *, most_bytes: int) -> Files:
    """Return the files of an archive without junk, and without one folder that wraps all of it.

    Raises:
        Unfit: the archive is none, is damaged, or holds what no project needs.
    """
    kept = _Kept(most_bytes=most_bytes, archive_bytes=len(archive))
    try:
        if archive.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            _read_zip(archive, kept)
        elif archive.startswith(b"\x1f\x8b"):
            _read_tar(gzip.GzipFile(fileobj=io.BytesIO(archive)), kept)
        elif archive[257:262] == b"ustar":
            _read_tar(io.BytesIO(archive), kept)
        else:
            raise Unfit("it is no archive: upload a zip, a tar or a tar.gz of the project")
    except _DAMAGED as error:
        raise Unfit(f"the archive is damaged: {str(error)[:200] or type(error).__name__}") from None
    except (NotImplementedError, RuntimeError, OSError) as error:
        raise Unfit(f"the archive cannot be read: {str(error)[:200]}") from None
    if not kept.files:
        raise Unfit("the archive holds no files")
    return _unwrapped(kept.files)


class Readable(Protocol):
    """Content that is unpacked while it is read."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""


class _Kept:
    """The files kept so far, and what they may still become."""

    def __init__(self, *, most_bytes: int, archive_bytes: int) -> None:
        self.files: Files = {}
        self.most_bytes = most_bytes
        self._archive_bytes = archive_bytes
        self._bytes = 0
        self._entries = 0
        self._directories: set[str] = set()

    def path_of(self, name: str) -> str | None:
        """Count an entry and return its path; None if it is junk, or the root itself."""
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise Unfit(f"the archive has more than {MAX_ENTRIES} entries")
        parts = _parts(name)
        if not parts or JUNK.intersection(parts) or parts[-1].endswith(".pyc") or parts[-1].startswith("._"):
            return None
        return "/".join(parts)

    def add(self, path: str, content: Readable, *, executable: bool) -> None:
        self._check_place(path)
        data = b"".join(self._bounded(content, path))
        self.files[path] = File(data, executable)

    def _check_place(self, path: str) -> None:
        if path in self.files:
            raise Unfit(f"the archive has two files named {shown(path)}")
        if len(self.files) >= MAX_FILES:
            raise Unfit(f"the project has more than {MAX_FILES} files")
        above = path
        while above := above.rpartition("/")[0]:
            if above in self.files:
                raise Unfit(f"{shown(above)} is a file and a folder at once")
            self._directories.add(above)
        if path in self._directories:
            raise Unfit(f"{shown(path)} is a file and a folder at once")

    def _bounded(self, content: Readable, path: str) -> Iterator[bytes]:
        while piece := content.read(_PIECE):
            self._bytes += len(piece)
            if self._bytes > self.most_bytes:
                raise Unfit(f"the project has more than {self.most_bytes} bytes, counted up to {shown(path)}")
            if self._bytes > max(RATIO_FROM_BYTES, MAX_RATIO * self._archive_bytes):
                raise Unfit(f"the archive unpacks to over {MAX_RATIO} times its size at {shown(path)}")
            yield piece


def _parts(name: str) -> list[str]:
    """Return the parts of a member's name. Raises Unfit for one that could lead elsewhere."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise Unfit(f"the name {shown(name)} is not UTF-8") from None
    reason = _wrong_with(name, size)
    if reason is not None:
        raise Unfit(f"the member {shown(name)} {reason}")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if len(parts) > MAX_DEPTH:
        raise Unfit(f"the member {shown(name)} is more than {MAX_DEPTH} folders deep")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise Unfit(f"the member {shown(name)} has a name of more than {MAX_NAME_BYTES} bytes")
    return parts


def _wrong_with(name: str, size: int) -> str | None:
    if size > MAX_PATH_BYTES:
        return f"has a path of more than {MAX_PATH_BYTES} bytes"
    if name.startswith("/"):
        return "has an absolute path"
    if name[1:2] == ":":
        return "has a drive letter"
    if "\\" in name:
        return "has a backslash in its path"
    if ".." in name.split("/"):
        return "leads out of the project"
    if not all(each.isprintable() for each in name):
        return "has a control character in its path"
    return None


def _read_zip(archive: bytes, kept: _Kept) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        for member in members.infolist():
            path = kept.path_of(member.orig_filename)
            if path is None or member.is_dir():
                continue
            mode = member.external_attr >> 16
            _check_zip_member(member, mode)
            with members.open(member) as content:
                kept.add(path, content, executable=bool(mode & 0o111))


def _check_zip_member(member: zipfile.ZipInfo, mode: int) -> None:
    name = shown(member.orig_filename)
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise Unfit(f"the member {name} is a link or a device; a project has files only")
    if member.flag_bits & _ENCRYPTED:
        raise Unfit(f"the member {name} is encrypted")
    if member.compress_type not in _METHODS:
        raise Unfit(f"the member {name} is compressed by a method that is not taken: use deflate")


def _read_tar(stream: Readable, kept: _Kept) -> None:
    with tarfile.open(fileobj=_Bounded(stream, _TAR_SLACK * kept.most_bytes), mode="r|") as members:
        for member in members:
            path = kept.path_of(member.name)
            if path is None or member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise Unfit(
                    f"the member {shown(member.name)} is a link or a device; a project has files only"
                )
            content = members.extractfile(member)
            if content is not None:
                kept.add(path, content, executable=bool(member.mode & 0o111))


class _Bounded(io.RawIOBase):
    """Reads a stream that unpacks as it is read, up to a number of bytes."""

    def __init__(self, stream: Readable, most: int) -> None:
        self._stream = stream
        self._left = most

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes. Raises Unfit past the bound."""
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise Unfit("the archive unpacks to far more than a project may have")
        return data


def _unwrapped(files: Files) -> Files:
    """Return the files without the one folder that holds all of them, if that is not the package itself."""
    tops = {path.partition("/")[0] for path in files}
    if len(tops) != 1 or any("/" not in path for path in files) or "src/program.py" in files:
        return files
    return {path.partition("/")[2]: file for path, file in files.items()}
