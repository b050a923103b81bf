"""Where environments stand, and who may touch one: a directory that several executors can share.

ready/<python>/<key>/    complete ones, each with its marker; whatever has none is not used
shared/cache             uv's cache, written only by runs in which no code of a package runs
shared/building/<key>/   being built of wheels, linked from the cache
private/<key>/           being built of sources, with a cache of its own, thrown away afterwards
locks/<key>              who uses an environment holds it shared, who makes or removes it alone
"""

import asyncio
import fcntl
import json
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from qrt_executor.adapters.environments.sizes import tree_bytes

log = logging.getLogger(__name__)

_MARKER = "complete.json"
_ASK_AGAIN_SECONDS = 0.1


class NotOurs(Exception):
    """The directory of environments belongs to somebody else, who could put anything into it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A complete environment on the disk."""

    key: str
    path: Path
    used: float
    """When it was last taken into use, in seconds since the epoch."""


class Directory:
    """The tree of environments for one interpreter. `user` is whom builds run as, if not ourselves."""

    def __init__(self, root: Path, *, tag: str, user: tuple[int, int] | None) -> None:
        self.root = root
        """All of it."""
        self._tag = tag
        self._user = user

    @property
    def shared(self) -> Path:
        """What builds of wheels may write to."""
        return self.root / "shared"

    @property
    def cache(self) -> Path:
        """The cache that they share."""
        return self.shared / "cache"

    def building(self, name: str) -> Path:
        """Where an environment is made of wheels."""
        return self.shared / "building" / name

    def private(self, name: str) -> Path:
        """Where a part of one is made of sources."""
        return self.root / "private" / name

    def ready(self, key: str) -> Path:
        """Where an environment stands once it is complete."""
        return self.root / "ready" / self._tag / key

    def prepare(self) -> None:
        """Make the tree, and clear what builds that were killed have left.

        Raises:
            NotOurs: somebody else could write to it.
        """
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = self.root.stat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise NotOurs(f"{self.root} belongs to somebody else, or others may write to it")
        for path in (self.root / "locks", self.root / "ready" / self._tag, self.root / "private"):
            path.mkdir(parents=True, exist_ok=True)
        for path in (self.shared, self.cache, self.shared / "building", self.shared / "tmp"):
            self.give(path)
        self._sweep()

    def give(self, path: Path) -> None:
        """Make a directory that builds may write to."""
        path.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(path, *self._user)

    def is_complete(self, key: str) -> bool:
        """Tell whether an environment can be used. Only for who holds it."""
        return (self.ready(key) / _MARKER).exists()

    def finish(self, made: Path, key: str, facts: dict[str, int]) -> None:
        """Mark what stands in `made` as complete and put it in its place, at once."""
        (made / _MARKER).write_text(json.dumps(facts))
        place = self.ready(key)
        shutil.rmtree(place, ignore_errors=True)  # one without a marker
        os.rename(made, place)

    def touch(self, key: str) -> None:
        """Note that an environment is used now."""
        with suppress(OSError):
            os.utime(self.ready(key) / _MARKER)

    # --- holding --------------------------------------------------------------------------------

    @asynccontextmanager
    async def held(self, key: str, *, alone: bool) -> AsyncIterator[None]:
        """Hold an environment, together with its other users or alone; waits until that can be."""
        fd = self._try(key, alone=alone)
        while fd is None:
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
            fd = self._try(key, alone=alone)
        try:
            yield
        finally:
            os.close(fd)

    @contextmanager
    def held_if_free(self, key: str) -> Iterator[bool]:
        """Hold an environment alone; false if anybody uses it."""
        fd = self._try(key, alone=True)
        try:
            yield fd is not None
        finally:
            if fd is not None:
                os.close(fd)

    def _try(self, key: str, *, alone: bool) -> int | None:
        fd = os.open(self.root / "locks" / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    # --- room -----------------------------------------------------------------------------------

    def make_room(self, limit_bytes: int) -> int:
        """Remove what is used least until everything together has at most `limit_bytes`; return what it has.

        First the cache, which only makes builds faster; then environments that nobody holds, the
        longest unused first.
        """
        size = tree_bytes(self.root)
        if size <= limit_bytes:
            return size
        self._clear_cache()
        for kept in sorted(self.kept(), key=lambda each: each.used):
            size = tree_bytes(self.root)
            if size <= limit_bytes:
                break
            with self.held_if_free(kept.key) as free:
                if free:
                    log.info("environment %s is removed: all of them have %d bytes", kept.key, size)
                    (kept.path / _MARKER).unlink(missing_ok=True)
                    shutil.rmtree(kept.path, ignore_errors=True)
        return tree_bytes(self.root)

    def kept(self) -> list[Kept]:
        """Return the complete environments."""
        found = []
        for marker in (self.root / "ready" / self._tag).glob(f"*/{_MARKER}"):
            with suppress(OSError):
                found.append(Kept(marker.parent.name, marker.parent, marker.stat().st_mtime))
        return found

    def _clear_cache(self) -> None:
        """Empty the cache unless a build uses it. Environments have their own names of its files."""
        with self.held_if_free("cache") as free:
            if free:
                shutil.rmtree(self.cache, ignore_errors=True)
                self.give(self.cache)

    def _sweep(self) -> None:
        """Remove what was being built by executors that are no more: nobody holds it."""
        half = (self.root / "ready" / self._tag).glob("*")
        left = [*(self.shared / "building").glob("*"), *(self.root / "private").glob("*")]
        left += [path for path in half if not (path / _MARKER).exists()]
        for path in left:
            with self.held_if_free(path.name.removesuffix(".in")) as free:
                if free and path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif free:
                    path.unlink(missing_ok=True)
