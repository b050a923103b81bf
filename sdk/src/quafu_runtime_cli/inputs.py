"""A job's input from the command line: single values, a file, or what is piped in."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from quafu_runtime_cli.endings import usage

MAX_SECRET_BYTES = 1 << 16


def read_input(values: Sequence[str], file: str | None) -> Any:
    """Return the input: what the file holds, and over it each `name=value`; None if there is neither.

    A value that reads as JSON is that, any other is text. `a.b=1` is `b` inside `a`.

    Raises:
        CommandFailed: one of them cannot be read.
    """
    given = _document(file) if file is not None else None
    if not values:
        return given
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise usage(f"-i sets properties of an object, but {_name(file)} holds something else")
    for each in values:
        name, sign, text = each.partition("=")
        if not sign or not name:
            raise usage(
                f"-i takes name=value, not {each!r}", hint="For example: -i steps=5 -i 'angles=[0.1, 0.2]'"
            )
        _place(given, name, _value(text))
    return given


def read_secrets(given: Sequence[str]) -> dict[str, str]:
    """Return secrets by name; their values stand in the environment, in files, or are asked for.

    Never on the command line: whoever lists processes sees that.

    Raises:
        CommandFailed: a value stands on the command line, or cannot be read.
    """
    found: dict[str, str] = {}
    for each in given:
        name, sign, source = each.partition("=")
        if sign and not source.startswith("@"):
            raise usage(
                f"--secret {name}=... would show the secret to whoever lists processes",
                hint=f"Write --secret {name}=@FILE, or --secret {name} and the value in the variable {name}.",
            )
        found[name] = _secret_file(source[1:]) if sign else os.environ.get(name) or _asked(name)
    return found


def _document(file: str) -> Any:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise usage(f"the input cannot be read: {exc}") from exc
    try:
        return json.loads(text)
    except ValueError as exc:
        raise usage(f"{_name(file)} is not JSON: {exc}") from exc


def _name(file: str | None) -> str:
    return "what was piped in" if file == "-" else str(file)


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(word: str) -> Any:
    raise ValueError(word)


def _place(whole: dict[str, Any], name: str, value: Any) -> None:
    *path, last = name.split(".")
    inner = whole
    for each in path:
        inner = inner.setdefault(each, {})
        if not isinstance(inner, dict):
            raise usage(f"-i {name}=... : {each!r} is no object already")
    inner[last] = value


def _secret_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(MAX_SECRET_BYTES).rstrip("\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise usage(f"the secret cannot be read: {exc}") from exc


def _asked(name: str) -> str:
    if not sys.stdin.isatty():
        raise usage(
            f"there is no value for the secret {name}",
            hint=f"Set the variable {name}, or write --secret {name}=@FILE.",
        )
    value: str = click.prompt(f"Value of {name}", hide_input=True, err=True)
    return value
