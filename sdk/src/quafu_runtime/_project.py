"""A project on its way to the runtime: its folder as a zip, and an upload as the body of a request."""

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from quafu_runtime.errors import InvalidRequest

LEFT_OUT = frozenset({"__pycache__", ".git", ".venv", "venv", ".DS_Store", "node_modules", ".mypy_cache"})
"""What tools leave in a folder; it is no part of the project."""
MAX_FILES = 5_000
MAX_BYTES = 512 << 20
"""All files of a folder together; the runtime takes less, and says how much."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def archive_of(project: str | os.PathLike[str]) -> bytes:
    """Return the archive at a path, or the zip of the folder there. Equal folders make equal zips.

    Raises:
        InvalidRequest: there is nothing, or something that cannot be read, or is no file nor folder.
    """
    path = Path(project)
    try:
        return _zipped(path) if path.is_dir() else path.read_bytes()
    except OSError as exc:
        raise InvalidRequest.because(f"the project cannot be read: {exc}", field="project") from exc


def form_of(fields: Mapping[str, Any], archive: bytes) -> tuple[str, bytes]:
    """Return the media type and the body of a form: fields as texts or JSON, and the archive."""
    boundary = uuid4().hex
    parts = [
        _part(boundary, name, each if isinstance(each, str) else json.dumps(each))
        for name, each in fields.items()
    ]
    head = _head(boundary, "archive", '; filename="project"\r\nContent-Type: application/octet-stream')
    body = b"".join([*parts, head, archive, f"\r\n--{boundary}--\r\n".encode()])
    return f"multipart/form-data; boundary={boundary}", body


def _part(boundary: str, name: str, value: str) -> bytes:
    return _head(boundary, name) + value.encode() + b"\r\n"


def _head(boundary: str, name: str, more: str = "") -> bytes:
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()


def _zipped(folder: Path) -> bytes:
    whole, count, size = io.BytesIO(), 0, 0
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(folder):
            count, size = count + 1, size + path.stat().st_size
            if count > MAX_FILES or size > MAX_BYTES:
                raise InvalidRequest.because(
                    f"{folder} holds over {MAX_FILES} files or {MAX_BYTES >> 20} MiB: is it the project?",
                    field="project",
                )
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EARLIEST)
            entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return whole.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    """Yield a folder's files in a fixed order. Links are refused: what they lead to would be missing."""
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT or path.suffix == ".pyc":
            continue
        if path.is_symlink():
            raise InvalidRequest.because(f"{path} is a link: a project holds files alone", field="project")
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path
