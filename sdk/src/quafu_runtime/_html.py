"""What a notebook shows of this library's objects. All of it is escaped: names are anybody's text."""

from collections.abc import Iterable
from html import escape
from typing import Any

_LEFT = "style='text-align:left'"
LONGEST = 4000
"""Characters of one cell; the rest is left out."""


def text_of(value: Any) -> str:
    """Return a value as escaped text, cut where it gets long."""
    text = "" if value is None else str(value)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} … ({len(text)} characters)"
    return escape(text)


def block(text: Any) -> str:
    """Return text of several lines as HTML."""
    return f"<pre style='text-align:left;max-height:20em;overflow:auto'>{text_of(text)}</pre>"


def facts(title: str, rows: Iterable[tuple[str, Any]]) -> str:
    """Return a table of names and values under a title; values that are None are left out."""
    shown = "".join(
        f"<tr><th {_LEFT}>{text_of(name)}</th><td {_LEFT}>{_cell(value)}</td></tr>"
        for name, value in rows
        if value is not None
    )
    return f"<table><caption {_LEFT}><b>{text_of(title)}</b></caption>{shown}</table>"


def columns(title: str, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table with a head under a title."""
    head = "".join(f"<th {_LEFT}>{text_of(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td {_LEFT}>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows
    )
    return f"<table><caption {_LEFT}><b>{text_of(title)}</b></caption><tr>{head}</tr>{body}</table>"


def _cell(value: Any) -> str:
    text = str(value)
    return block(text) if "\n" in text else text_of(text)
