"""Sources judged by a short-lived child process, because parsing a hostile one can end its process."""

import asyncio
import json
import logging
import sys
from pathlib import Path

from qrt_contracts.faults import Unavailable
from qrt_registry.adapters.inspect_source import EXHAUSTED
from qrt_registry.domain import Finding

log = logging.getLogger(__name__)

SCRIPT = Path(__file__).with_name("inspect_source.py")


class ChildInspector:
    """The `Inspector` port."""

    def __init__(self, *, at_once: int = 2, deadline_seconds: float = 20.0) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._deadline_seconds = deadline_seconds

    async def inspect(self, source: bytes) -> Finding | None:
        """Return what is wrong with a source, None if nothing is.

        Raises:
            Unavailable: no verdict within the deadline; the child's own limit on processor time,
                which is shorter, is the source's fault and a finding.
            RuntimeError: the child could not do its work at all.
        """
        try:
            async with asyncio.timeout(self._deadline_seconds), self._places:
                code, answer = await _judged(source)
        except TimeoutError:
            raise Unavailable("the registry is too busy to look at the source; try again") from None
        if code not in (0, EXHAUSTED) and code > 0:
            raise RuntimeError(f"{SCRIPT.name} ended with exit status {code}")
        if code != 0:
            log.info("a source ended the process that parsed it, exit status %d", code)
            return Finding(detail="the source is too deeply nested or too large to be parsed")
        raw = json.loads(answer)
        return Finding(**raw) if raw else None


async def _judged(source: bytes) -> tuple[int, bytes]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-B", "-W", "ignore", str(SCRIPT)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        answer, _ = await child.communicate(source)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode is not None  # noqa: S101 - communicate waits for the end
    return child.returncode, answer
