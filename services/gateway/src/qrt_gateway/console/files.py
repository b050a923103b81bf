"""The console's files, read once at start: small, kept in memory, named by what they hold."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent / "static"
PAGE = "index.html"
BASE = "/console/static"
SQUEEZED = 1024
"""Smaller files are not worth being compressed."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file: its bytes, also as gzip where that is shorter."""

    content: bytes
    squeezed: bytes | None
    media_type: str


@dataclass(frozen=True, slots=True)
class Files:
    """All files by their path below `static`. `digest` is of them together and part of their addresses."""

    by_path: Mapping[str, File]
    digest: str

    @property
    def base(self) -> str:
        """The address that their paths are below. Their content there never changes."""
        return f"{BASE}/{self.digest}"

    def page(self) -> str:
        """Return the page itself, with the files' present address in it."""
        return self.by_path[PAGE].content.decode().replace("{{base}}", self.base)


def load(root: Path = ROOT) -> Files:
    """Read the files of a folder."""
    found = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix in _TYPES
    }
    whole = hashlib.sha256()
    for name, content in found.items():
        whole.update(f"{name}\0{len(content)}\0".encode())
        whole.update(content)
    files = {name: _file(content, Path(name).suffix) for name, content in found.items()}
    return Files(files, whole.hexdigest()[:16])


def _file(content: bytes, suffix: str) -> File:
    squeezed = gzip.compress(content, mtime=0) if len(content) > SQUEEZED else None
    return File(content, squeezed, _TYPES[suffix])
