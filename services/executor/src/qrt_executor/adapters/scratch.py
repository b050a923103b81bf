"""Directories of one attempt on the host, for the levels that have no private file system."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scratch:
    """A fresh tree: working directory, temporary files, input, output."""

    root: Path

    @property
    def work(self) -> Path:
        """The program's working directory and home."""
        return self.root / "work"

    @property
    def tmp(self) -> Path:
        """Where its temporary files go."""
        return self.root / "tmp"

    @property
    def input(self) -> Path:
        """Its INPUT_DIRECTORY."""
        return self.root / "input"

    @property
    def output(self) -> Path:
        """Its OUTPUT_DIRECTORY."""
        return self.root / "output"

    def remove(self) -> None:
        """Remove the tree, whatever modes the program has left. No process of it may be alive."""
        shutil.rmtree(self.root, onerror=_open_up)


def temporary_name(what: str) -> str:
    """Return how the names of this process's temporary directories begin."""
    return f"qrt-{what}-{os.getpid()}-"


def sweep(parent: Path) -> None:
    """Remove what executors that were killed have left below `parent`."""
    for left in parent.glob("qrt-*-*-*"):
        owner = left.name.split("-")[2]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)


def make_scratch(parent: Path, *, owner: tuple[int, int] | None) -> Scratch:
    """Make a tree below `parent`; `owner` is the uid and gid it is given to, None for our own."""
    scratch = Scratch(Path(tempfile.mkdtemp(prefix=temporary_name("attempt"), dir=parent)))
    for directory in (scratch.work, scratch.tmp, scratch.input, scratch.output):
        directory.mkdir(mode=0o700)
    if owner is not None:
        for directory in (scratch.root, scratch.work, scratch.tmp, scratch.input, scratch.output):
            os.chown(directory, *owner)
    return scratch


def _open_up(function: object, path: str, _: object) -> None:
    """Give ourselves the rights to a directory that the program has closed, and try again."""
    del function
    parent = os.path.dirname(path)
    for directory in (parent, path):
        if os.path.isdir(directory) and not os.path.islink(directory):
            os.chmod(directory, 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)
