"""Programs as a user sees them, and what an upload is made of."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from qrt_contracts.api_programs import ProgramView, VersionView
from qrt_contracts.values import BuildState, ProgramKind, Visibility
from quafu_runtime import _html
from quafu_runtime.errors import BuildFailed, InvalidRequest


@dataclass(frozen=True, eq=False, kw_only=True)
class RuntimeProgram(Mapping[str, Any]):
    """A program; each attribute can be read as an item too: `program.name`, `program["name"]`."""

    program_id: str
    name: str
    kind: str
    """`quafu`, `template` or `container`."""
    data: str | None
    """The newest version's source text; None in listings, and for projects and images."""
    is_public: bool
    description: str | None
    group: str | None
    owner: str
    backend: str | None
    cost: float | None
    version: int
    """Number of the newest version, from 1."""
    digest: str
    """sha256 of the newest version's bundle."""
    max_attempts: int
    limits: Mapping[str, float]
    """The limits the program sets for itself; the others have the runtime's defaults."""
    created_at: datetime
    updated_at: datetime

    def __getitem__(self, key: str) -> Any:
        if key not in _FIELDS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_FIELDS)

    def __len__(self) -> int:
        return len(_FIELDS)

    def _repr_html_(self) -> str:
        return _html.facts(f"Program {self.name}", self.items())

    def __str__(self) -> str:
        return "\n".join(
            f"{key}: {value}" for key, value in self.items() if key != "data" or value is not None
        )


def facts(view: ProgramView, *, data: str | None) -> dict[str, Any]:
    """Return the fields of the program that the runtime describes."""
    return {
        "program_id": view.id,
        "name": view.name,
        "kind": view.kind.value,
        "data": data,
        "is_public": view.visibility is Visibility.PUBLIC,
        "description": view.description,
        "group": view.group,
        "owner": view.owner,
        "backend": view.backend,
        "cost": view.cost,
        "version": view.latest.number,
        "digest": view.latest.bundle.sha256,
        "max_attempts": view.max_attempts,
        "limits": view.limits.model_dump(exclude_none=True),
        "created_at": view.created_at,
        "updated_at": view.updated_at,
    }


def outcome(program_id: str, version: VersionView) -> bool:
    """Tell whether the build of a version has ended.

    Raises:
        BuildFailed: it has, without success.
    """
    if version.build.state is BuildState.FAILED:
        raise BuildFailed(program_id, version.number, version.build.problem)
    return version.build.state is not BuildState.BUILDING


def has_source(view: ProgramView) -> bool:
    """Tell whether a program is one source that can be shown as text."""
    return view.kind is ProgramKind.QUAFU


_FIELDS = tuple(each.name for each in fields(RuntimeProgram) if not each.name.startswith("_"))

_METADATA = frozenset(
    {"name", "backend", "group", "description", "is_public", "cost", "max_execution_time", "limits"}
    | {"max_attempts"}
)

_PUBLIC = {
    1: Visibility.PUBLIC,
    0: Visibility.PRIVATE,
    2: Visibility.PRIVATE,
}  # 2: the earliest clients' word


def read_source(data: str | os.PathLike[str]) -> str:
    """Return the source text that `data` is, or that the file it names holds.

    Text with a line break or a `def run` is source; everything else is a path.

    Raises:
        InvalidRequest: the file cannot be read as text.
    """
    if isinstance(data, str) and ("\n" in data or "def run" in data):
        return data
    try:
        return Path(data).read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise InvalidRequest.because(
            f"{os.fspath(data)!r} is neither Python source nor a file that can be read: {exc}", field="data"
        ) from exc


def program_fields(metadata: Mapping[str, Any] | None, **given: Any) -> dict[str, Any]:
    """Return the request fields for a program's description; arguments win over `metadata`.

    Raises:
        InvalidRequest: `metadata` has an unknown key, or `is_public` is not a truth value.
    """
    merged = dict(metadata or {}) | {key: value for key, value in given.items() if value is not None}
    unknown = sorted(set(merged) - _METADATA)
    if unknown:
        raise InvalidRequest.because(
            f"unknown metadata {', '.join(map(repr, unknown))}; known are {', '.join(sorted(_METADATA))}",
            field="metadata",
        )
    fields_ = {key: value for key, value in merged.items() if value is not None}
    if "is_public" in fields_:
        fields_["visibility"] = _visibility(fields_.pop("is_public"))
    seconds = fields_.pop("max_execution_time", None)
    if seconds is not None:
        fields_["limits"] = {**fields_.get("limits", {}), "wall_seconds": seconds}
    return fields_


def _visibility(is_public: object) -> Visibility:
    if isinstance(is_public, int) and is_public in _PUBLIC:
        return _PUBLIC[is_public]
    raise InvalidRequest.because(f"is_public is True or False, not {is_public!r}", field="is_public")


def listed(programs: Sequence[RuntimeProgram], *, detailed: bool) -> str:
    """Return the listing of programs as lines of text."""
    blocks = []
    for program in programs:
        block = ["-" * 50, f"program_id:{program.program_id}", f" -Name: {program.name}"]
        block.append(f" -Description: {program.description}")
        if detailed:
            shown = ("program_id", "name", "description", "data")
            block += [f" -{key}: {value}" for key, value in program.items() if key not in shown]
        blocks.append("\n".join(block))
    return "\n".join(blocks)
