"""Drawing a table with rich: as wide as the terminal is, or as what it holds."""

import sys
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from quafu_runtime_cli.tables import STATE_COLOURS, Column

_ENDLESS = 4000
"""Columns of a pipe: nothing is cut."""
_GAP = 2
_NARROWEST = 9


def lines(columns: Sequence[Column], cells: Sequence[Sequence[str]], *, colours: bool) -> Iterator[str]:
    """Yield the lines of a table; its cells are harmless, and on one line each."""
    console = Console(
        file=sys.stdout,
        width=None if sys.stdout.isatty() else _ENDLESS,
        no_color=not colours,
        force_terminal=None if colours else False,
        highlight=False,
    )
    widths = _widths(columns, cells, console.width)
    grid = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=False):
        justify: JustifyMethod = "right" if column.right else "left"
        grid.add_column(column.head, no_wrap=True, overflow="ellipsis", justify=justify, width=width)
    for row in cells:
        grid.add_row(*(Text(text, style=STATE_COLOURS.get(text, "")) for text in row[: len(widths)]))
    with console.capture() as captured:
        console.print(grid)
    for line in captured.get().splitlines():
        yield line.rstrip()


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the widths of as many columns as there is room for, from the left.

    They are what the columns hold. Where that is too much, the last columns are left out, and of those that
    stay the widest are cut.
    """
    widths = [
        max(cell_len(text) for text in (column.head, *(row[place] for row in cells)))
        for place, column in enumerate(columns)
    ]
    least = [
        width if column.whole else min(width, _NARROWEST)
        for width, column in zip(widths, columns, strict=True)
    ]
    while len(widths) > 1 and _together(least) > room:
        widths.pop()
        least.pop()
    for _ in range(_together(widths) - room):
        widest = max(range(len(widths)), key=lambda place: widths[place] - least[place])
        widths[widest] -= 1
    return widths


def _together(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)
