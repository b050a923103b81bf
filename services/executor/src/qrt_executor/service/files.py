"""Keeps the files that a program has left in its output directory."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from qrt_contracts.values import Limits, OutputFile, SkippedFile
from qrt_executor.domain.redaction import Redactor
from qrt_executor.ports import FileBudget, LeftFile, Payloads, Sandbox
from qrt_executor.service.patience import patiently

log = logging.getLogger(__name__)

PROBLEM = "output.json"
"""Where the runner leaves the problem document of a program that has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What of an output directory is stored, and what is not."""

    files: tuple[OutputFile, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()


async def keep_files(
    sandbox: Sandbox, *, payloads: Payloads, limits: Limits, told: Redactor | None = None
) -> Kept:
    """Store what is in the output directory of a sandbox whose processes are all dead.

    Files are kept as they are, but for the document of a failure: `told` strikes secrets out of it.
    """
    budget = FileBudget(bytes=limits.disk_bytes, file_bytes=limits.file_bytes)
    left = await sandbox.leftovers(budget)
    files: list[OutputFile] = []
    skipped = list(left.skipped)
    for file in left.files:
        try:
            redactor = told if file.name == PROBLEM else None
            files.append(await _stored(file, sandbox, payloads, redactor=redactor))
        except OSError as exc:
            log.warning("an output file cannot be read: %s", exc)
            skipped.append(SkippedFile(name=file.name, reason=f"it cannot be read: {exc.strerror}"))
    return Kept(files=tuple(files), skipped=tuple(skipped))


async def _stored(
    file: LeftFile, sandbox: Sandbox, payloads: Payloads, *, redactor: Redactor | None
) -> OutputFile:
    if redactor is not None and redactor.active:
        content = partial(_redacted, sandbox, file, redactor)
        artifact = await patiently(lambda: payloads.put(content()))
    else:
        artifact = await patiently(lambda: payloads.put(sandbox.content(file), limit=file.size))
    return OutputFile(name=file.name, size=artifact.size, sha256=artifact.sha256)


async def _redacted(sandbox: Sandbox, file: LeftFile, redactor: Redactor) -> AsyncIterator[bytes]:
    clear = redactor.stream()
    async for piece in sandbox.content(file):
        yield clear.feed(piece)
    yield clear.finish()
