"""Uploads judged by short-lived child processes, because reading a hostile one can end its process."""

import asyncio
import json
import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qrt_contracts.faults import Unavailable
from qrt_contracts.values import ProgramKind, Resources
from qrt_registry.adapters.inspect_source import EXHAUSTED
from qrt_registry.domain import Finding, Project

log = logging.getLogger(__name__)

_HERE = Path(__file__)
_SOURCE = (str(_HERE.with_name("inspect_source.py")),)
_PROJECT = (
    "-c",
    "import sys; sys.path += sys.argv[1:]; from qrt_registry.adapters.projects.judge import main; main()",
)


class ChildInspector:
    """The `Inspector` port."""

    def __init__(
        self, *, at_once: int = 2, deadline_seconds: float = 45.0, max_unpacked_bytes: int = 128 << 20
    ) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._deadline_seconds = deadline_seconds
        self._max_unpacked_bytes = max_unpacked_bytes

    async def inspect(self, source: bytes) -> Finding | None:
        """Return what is wrong with a source, None if nothing is.

        Raises:
            Unavailable: no verdict within the deadline; the child's own limit on processor time,
                which is shorter, is the source's fault and a finding.
            RuntimeError: the child could not do its work at all.
        """
        answer = await self._answer(_SOURCE, source)
        if answer is None:
            return Finding(detail="the source is too deeply nested or too large to be parsed")
        raw = json.loads(answer)
        return Finding(**raw) if raw else None

    async def project(self, archive: bytes, *, kind: ProgramKind | None) -> Project | Finding:
        """Return what a project is, or what is wrong with it. Raises what `inspect` raises.

        `kind` None is what the project says of itself.
        """
        wanted = {"kind": None if kind is None else kind.value, "most_bytes": self._max_unpacked_bytes}
        upload = json.dumps(wanted).encode() + b"\n" + archive
        answer = await self._answer((*_PROJECT, *_search_path()), upload)
        if answer is None:
            return Finding(detail="the project is too large, or too deeply nested, to be looked at")
        line, _, canonical = answer.partition(b"\n")
        return _project(json.loads(line), canonical)

    async def _answer(self, program: tuple[str, ...], upload: bytes) -> bytes | None:
        """Return what a child says of an upload; None if the upload was too much for it."""
        try:
            async with asyncio.timeout(self._deadline_seconds), self._places:
                code, answer = await _judged(program, upload)
        except TimeoutError:
            raise Unavailable("the registry is too busy to look at the upload; try again") from None
        if code not in (0, EXHAUSTED) and code > 0:
            raise RuntimeError(f"the child that judges uploads ended with exit status {code}")
        if code != 0:
            log.info("an upload ended the process that judged it, exit status %d", code)
            return None
        return answer


def _project(report: dict[str, Any], canonical: bytes) -> Project | Finding:
    if unfit := report.get("unfit"):
        return Finding(**unfit)
    signature = report.get("signature")
    return Project(
        kind=ProgramKind(report["kind"]),
        canonical=canonical,
        name=report.get("name"),
        description=report.get("description"),
        resources=Resources(**report.get("resources", {})),
        requirements=tuple(report.get("requirements", ())),
        signature=None if signature is None else json.dumps(signature),
    )


def _search_path() -> tuple[str, ...]:
    """Return where the child finds this package and `packaging`; it has the standard library before them."""
    packaging = find_spec("packaging")
    assert packaging is not None  # noqa: S101 - it is among the dependencies
    assert packaging.origin is not None  # noqa: S101
    return str(_HERE.parents[2]), str(Path(packaging.origin).parents[1])


async def _judged(program: tuple[str, ...], upload: bytes) -> tuple[int, bytes]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-B", "-W", "ignore", *program),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        answer, _ = await child.communicate(upload)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode is not None  # noqa: S101 - communicate waits for the end
    return child.returncode, answer
