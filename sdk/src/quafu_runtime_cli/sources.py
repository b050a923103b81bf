"""What somebody wants to upload: a file, a folder, an archive or an image, and what it is called."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qrt_contracts.api_programs import ProgramView
from quafu_runtime import _calls as calls
from quafu_runtime._program import read_source
from quafu_runtime._project import archive_of
from quafu_runtime._wire import Call
from quafu_runtime_cli.endings import usage

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class Source:
    """What is uploaded: exactly one of a text, an archive and an image."""

    name: str | None
    kind: str | None = None
    text: str | None = None
    archive: bytes | None = None
    image: str | None = None

    def create(self, fields: dict[str, Any]) -> Call[ProgramView]:
        """Return the upload as a new program. Raises InvalidRequest."""
        named = fields | ({} if self.name is None else {"name": self.name})
        if self.kind is not None:
            named["kind"] = self.kind
        if self.archive is not None:
            return calls.create_project(named, self.archive)
        return calls.create_program(named | self._content())

    def add(self, program_id: str) -> Call[ProgramView]:
        """Return the upload as a new version."""
        if self.archive is not None:
            return calls.add_project(program_id, self.archive)
        return calls.add_content(program_id, self._content())

    def _content(self) -> dict[str, Any]:
        return {"source": self.text} if self.text is not None else {"image": self.image}


def source_of(path: str | None, *, image: str | None, kind: str | None, name: str | None) -> Source:
    """Return what stands at a path, or the image.

    Raises:
        CommandFailed: there is neither or both, or nothing at the path that is a program.
    """
    if (path is None) == (image is None):
        raise usage("give either a PATH or --image", hint="For example: quafu-runtime upload program.py")
    if path is None:
        return Source(name, image=image)
    place = Path(path)
    if place.is_dir():
        return _folder(place, kind, name)
    if place.name.endswith(_ARCHIVES):
        return Source(name, kind, archive=archive_of(place))
    if kind == "container":
        raise usage(f"{path} is a file: a container is a folder with a Dockerfile, or --image")
    return Source(name or place.stem, kind, text=read_source(place))


def local_kind(path: str) -> str:
    """Return the kind of the program at a path, to run it here. Raises CommandFailed."""
    place = Path(path)
    if not place.is_dir():
        return "quafu"
    if (place / "src" / "program.py").exists():
        return "template"
    if (place / "program.py").exists() and not (place / "Dockerfile").exists():
        return "quafu"
    raise _no_program(place)


def _folder(place: Path, kind: str | None, name: str | None) -> Source:
    name = name or _own_name(place)
    project = (place / "src" / "program.py").exists() or (place / "Dockerfile").exists()
    if project or kind in ("template", "container"):
        # Where planqk.json says it, the runtime reads it there.
        return Source(name, kind or _own_kind(place), archive=archive_of(place))
    if (place / "program.py").exists():
        return Source(name, kind, text=read_source(place / "program.py"))
    raise _no_program(place)


def _no_program(place: Path) -> Exception:
    return usage(
        f"{place} holds no program: it has neither program.py, nor src/program.py, nor a Dockerfile",
        hint="quafu-runtime init NAME makes a folder that has.",
    )


def _own_name(place: Path) -> str:
    found = _planqk(place).get("name")
    return found if isinstance(found, str) and found else place.resolve().name


def _own_kind(place: Path) -> str | None:
    if "runtime" in _planqk(place) or (place / "src" / "program.py").exists():
        return None
    return "container"


def _planqk(place: Path) -> dict[str, Any]:
    try:
        found = json.loads((place / "planqk.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # the runtime says what is wrong with it
    return found if isinstance(found, dict) else {}


def fields_of(
    *,
    description: str | None,
    backend: str | None,
    visibility: str | None,
    groups: Sequence[str],
    limits: Sequence[str],
    max_attempts: int | None,
    **others: Any,
) -> dict[str, Any]:
    """Return what describes a program, as the fields of a request. Raises CommandFailed."""
    del others
    if groups and visibility not in (None, "group"):
        raise usage(f"give either {visibility} or --group: groups go with the visibility group alone")
    fields = {
        "description": description,
        "backend": backend,
        "visibility": "group" if groups else visibility,
        "groups": list(groups) or None,
        "limits": dict(map(_limit, limits)) or None,
        "max_attempts": max_attempts,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _limit(given: str) -> tuple[str, float]:
    name, _, number = given.partition("=")
    try:
        value = float(number)
    except ValueError:
        raise usage(
            f"--limit takes name=number, not {given!r}", hint="For example: --limit wall_seconds=600"
        ) from None
    return name, int(value) if value.is_integer() else value
