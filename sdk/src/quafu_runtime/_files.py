"""A file of a job on its way to this machine: written beside its place, checked, then put there."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self
from uuid import uuid4

from qrt_contracts.values import OutputFile
from quafu_runtime.errors import NotFound, Unreachable


def named(files: Sequence[OutputFile], name: str) -> OutputFile:
    """Return the file of that name. Raises NotFound."""
    found = next((each for each in files if each.name == name), None)
    if found is None:
        names = ", ".join(each.name for each in files[:20]) or "none at all"
        raise NotFound.because(f"the job has left no file {name!r}; it left {names}", field="name")
    return found


class Writing:
    """A file that is written below another name and takes its place once it is whole and right."""

    def __init__(self, file: OutputFile, path: str | os.PathLike[str]) -> None:
        target = Path(path)
        self.path = target / PurePosixPath(file.name).name if target.is_dir() else target
        self._file = file
        self._digest = hashlib.sha256()
        self._beside = self.path.with_name(f".{uuid4().hex}.part")

    def __enter__(self) -> Self:
        self._target = open(self._beside, "xb")
        return self

    def write(self, data: bytes) -> None:
        """Write what comes next."""
        self._digest.update(data)
        self._target.write(data)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._target.close()
        try:
            if exc is None:
                self._put()
        finally:
            self._beside.unlink(missing_ok=True)

    def _put(self) -> None:
        if self._digest.hexdigest() != self._file.sha256:
            raise Unreachable(f"what came of {self._file.name!r} is not what the runtime had announced")
        self._beside.replace(self.path)
