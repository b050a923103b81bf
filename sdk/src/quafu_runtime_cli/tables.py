"""Tables and facts on a terminal, cut to its width; through a pipe, whole and without colours."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from quafu_runtime._harmless import harmless_json, one_line
from quafu_runtime_cli.state import State

STATE_COLOURS = {
    "SUCCEEDED": "green",
    "FAILED": "red",
    "CANCELLED": "yellow",
    "RUNNING": "cyan",
    "QUEUED": "blue",
    "ready": "green",
    "failed": "red",
    "building": "cyan",
    "online": "green",
    "offline": "red",
}


_LINE = 100
_DEEPEST = 30
"""What is nested deeper stays on one line."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, and whether it may be cut where the terminal is narrow."""

    head: str
    whole: bool = False
    right: bool = False


def table(state: State, columns: Sequence[Column], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Write a table, or on stderr what it means that there is none."""
    cells = [[cell(each) for each in row] for row in rows]
    if not cells:
        state.say(empty)
        return
    from quafu_runtime_cli.grid import lines  # only here: what draws tables takes longest to import

    for line in lines(columns, cells, colours=state.colours):
        state.text(line)


def listing(
    state: State, document: Any, columns: Sequence[Column], rows: Iterable[Sequence[Any]], *, empty: str
) -> None:
    """Tell a list as it was asked for: as one JSON document, or as a table."""
    if state.json:
        state.document(document)
    else:
        table(state, columns, rows, empty=empty)


def facts(state: State, rows: Iterable[tuple[str, Any]]) -> None:
    """Write names and values; those without a value are left out."""
    shown = [(name, cell(value)) for name, value in rows if value not in (None, "", (), [], {})]
    widest = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        colour = STATE_COLOURS.get(value)
        told = state.style(value, fg=colour) if colour else value
        state.text(f"{state.style(f'{name}:'.ljust(widest + 1), bold=True)} {told}")


def cell(value: Any) -> str:
    """Return a value as harmless text on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return one_line(str(value))


def pretty(value: Any, *, depth: int = 0) -> str:
    """Return JSON data as text for people: what is short on one line, nothing that commands."""
    flat = harmless_json(json.dumps(value, ensure_ascii=False))
    if len(flat) + 2 * depth <= _LINE or not isinstance(value, dict | list) or depth >= _DEEPEST:
        return flat
    margin = "\n" + "  " * depth
    parts = value.values() if isinstance(value, dict) else value
    inside = [pretty(each, depth=depth + 1) for each in parts]
    if isinstance(value, dict):
        names = (harmless_json(json.dumps(name, ensure_ascii=False)) for name in value)
        inside = [f"{name}: {each}" for name, each in zip(names, inside, strict=True)]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}{margin}  " + f",{margin}  ".join(inside) + f"{margin}{closing}"


def size(count: int) -> str:
    """Return a number of bytes for people."""
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError


def duration(seconds: float) -> str:
    """Return a length of time for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def age(moment: datetime | None) -> str:
    """Return about how long ago a moment was."""
    if moment is None:
        return "-"
    seconds = max(0, round((datetime.now(UTC) - moment).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def moment(text: str | None) -> datetime | None:
    """Return the time of an answer that is read as JSON data."""
    return None if text is None else datetime.fromisoformat(text)
