"""Judge an uploaded project in a process of its own, and bring it into the form it is stored in.

Reads one line of JSON from stdin, `{"kind": ..., "most_bytes": n}`, and then the archive; writes one line of
JSON, what was found or what is wrong, and then the canonical zip. Nothing of the project is executed.
Unpacking and parsing can exhaust or crash the interpreter, which is why this stands apart.
"""

import json
import resource
import sys
from typing import Any

from qrt_registry.adapters.inspect_source import EXHAUSTED
from qrt_registry.adapters.projects.archive import Files, files_in
from qrt_registry.adapters.projects.canonical import canonical_zip
from qrt_registry.adapters.projects.entry import PROGRAM, check_sources, entry_of
from qrt_registry.adapters.projects.manifest import manifest_of
from qrt_registry.adapters.projects.requirements import requirements_of
from qrt_registry.adapters.projects.signature import signature_of
from qrt_registry.adapters.projects.unfit import Unfit

MEMORY_BYTES = 2 << 30
CPU_SECONDS = 20
DOCKERFILE = "Dockerfile"
Report = dict[str, Any]


def judge(archive: bytes, *, kind: str | None, most_bytes: int) -> tuple[Report, bytes]:
    """Return what a project is and its canonical zip; or what is wrong with it, under `unfit`.

    Args:
        archive: what was uploaded.
        kind: `template` or `container`; None is what the project says, or looks like if it says nothing.
        most_bytes: of the unpacked files together.
    """
    try:
        files = files_in(archive, most_bytes=most_bytes)
        said = manifest_of(files)
        found = {**said, "kind": kind or said.get("kind") or _looks_like(files)}
        if found["kind"] == "container":
            _check_dockerfile(files)
        else:
            found |= _template(files)
    except Unfit as error:
        where = {name: getattr(error, name) for name in ("file", "line", "column", "text")}
        return {"unfit": {"detail": error.detail, **where}}, b""
    return found, canonical_zip(files)


def _looks_like(files: Files) -> str:
    return "container" if DOCKERFILE in files and PROGRAM not in files else "template"


def _check_dockerfile(files: Files) -> None:
    if DOCKERFILE not in files:
        raise Unfit(f"there is no {DOCKERFILE} at the root, which a container is built by")
    if not files[DOCKERFILE].data.strip():
        raise Unfit("it is empty", file=DOCKERFILE)


def _template(files: Files) -> Report:
    tree = check_sources(files)
    run = entry_of(tree, files[PROGRAM].data)
    return {"requirements": requirements_of(files), "signature": signature_of(tree, run)}


def _limit() -> None:
    """Bound what judging may use; what passes a bound ends this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main() -> None:
    """Judge stdin."""
    wanted = json.loads(sys.stdin.buffer.readline())
    archive = sys.stdin.buffer.read()
    _limit()
    try:
        report, canonical = judge(archive, kind=wanted["kind"], most_bytes=wanted["most_bytes"])
        sys.stdout.buffer.write(json.dumps(report).encode() + b"\n")
        sys.stdout.buffer.write(canonical)
        sys.stdout.buffer.flush()
    except (MemoryError, RecursionError):
        sys.exit(EXHAUSTED)
