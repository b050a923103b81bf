"""What trees of files take on the disk."""

import contextlib
import os
from pathlib import Path

_LEAST = 512
"""What the name of an empty file counts: they fill a disk, too."""


def tree_bytes(*roots: Path) -> int:
    """Return the bytes that everything below `roots` takes; a file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    pending = [str(root) for root in roots]
    while pending:
        for entry in _entries(pending.pop()):
            try:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                    total += _LEAST
                    continue
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += max(found.st_blocks * 512, _LEAST)
    return total


def _entries(directory: str) -> list[os.DirEntry[str]]:
    """Return what is in a directory, also in one that a build has closed to us; nothing if it has gone."""
    try:
        return list(os.scandir(directory))
    except PermissionError:
        with contextlib.suppress(OSError):
            os.chmod(directory, 0o700)
            return list(os.scandir(directory))
    except OSError:
        pass
    return []
