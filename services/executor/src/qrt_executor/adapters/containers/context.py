"""A program's zip as the engine's build context: a tar archive, made within limits, in no directory."""

import io
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from qrt_executor.ports import BuildFailed

_ENTRIES = 20_000
_UNPACKED_BYTES = 512 << 20
_PIECE_BYTES = 1 << 20


def build_context(bundle: bytes, *, directory: Path) -> BinaryIO:
    """Return a nameless file with the tar archive of a zip, at its beginning. Blocks.

    Times and owners are all the same, so that equal content finds the engine's cache.

    Raises BuildFailed: it is no zip, it has no Dockerfile at its root, or is more than may be unpacked.
    """
    packed: BinaryIO = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - the caller closes it
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            _copy(archive, packed)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as exc:
        packed.close()
        raise BuildFailed(f"the program's archive cannot be read: {exc}") from exc
    except BaseException:
        packed.close()
        raise
    packed.seek(0)
    return packed


def _copy(archive: zipfile.ZipFile, packed: BinaryIO) -> None:
    entries = archive.infolist()
    if len(entries) > _ENTRIES:
        raise BuildFailed(f"the program's archive has more than {_ENTRIES} entries")
    if "Dockerfile" not in {entry.filename for entry in entries}:
        raise BuildFailed("the program's archive has no Dockerfile at its root")
    left = _UNPACKED_BYTES
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as context:
        for entry in entries:
            if not entry.is_dir():
                left -= _add(archive, entry, context, left)


def _add(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, context: tarfile.TarFile, left: int) -> int:
    mode = entry.external_attr >> 16
    name = entry.filename
    if name.startswith("/") or ".." in name.split("/") or "\0" in name or stat.S_ISLNK(mode):
        raise BuildFailed(f"the program's archive holds {name!r}, which leads out of it")
    with tempfile.SpooledTemporaryFile(max_size=_PIECE_BYTES) as held, archive.open(entry) as source:
        while piece := source.read(_PIECE_BYTES):
            held.write(piece)
            if held.tell() > left:
                raise BuildFailed(f"the program's archive unpacks to more than {_UNPACKED_BYTES} bytes")
        item = tarfile.TarInfo(name)
        item.size = held.tell()
        item.mode = 0o755 if mode & stat.S_IXUSR else 0o644
        held.seek(0)
        context.addfile(item, held)
        return item.size
