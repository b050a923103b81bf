"""A folder of packages as builds can read it: they run as a user whom it may be closed to."""

import hashlib
import os
import shutil
from pathlib import Path

_READ, _PASS = 0o004, 0o001


def is_open(folder: Path) -> bool:
    """Tell whether every user can read a folder and the files in it. Raises OSError if there is none."""
    if folder.stat().st_mode & (_READ | _PASS) != _READ | _PASS:
        return False
    return all(entry.stat().st_mode & _READ for entry in _files(folder).values())


def copy_place(folder: Path, root: Path) -> Path:
    """Return where a copy of a folder stands below the directory of environments."""
    return root / "wheels" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def bring_up_to_date(folder: Path, place: Path) -> None:
    """Make `place` hold the files of `folder`, readable for all. Executors may do so at the same time."""
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    wanted = _files(folder)
    for name, entry in wanted.items():
        target, found = place / name, entry.stat()
        if not target.exists() or target.stat().st_mtime_ns != found.st_mtime_ns:
            _copy(Path(entry.path), target)
    for name in _files(place).keys() - wanted.keys():
        if not name.startswith("."):
            (place / name).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    new = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copy2(source, new)
    new.chmod(0o644)
    os.replace(new, target)


def _files(folder: Path) -> "dict[str, os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        return {entry.name: entry for entry in entries if entry.is_file()}
