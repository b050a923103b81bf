"""The top-level properties of an input, each as the text it was written with."""

import json
from collections.abc import Iterator

_SPACE = " \t\n\r"
_NAME_BYTES = 250
"""A file name may have 255, `.json` included."""
_decoder = json.JSONDecoder()


class NotAnObject(ValueError):
    """The input is no JSON object, or has a property that no file can be named after."""


def properties(text: str) -> dict[str, str]:
    """Return the properties of a JSON object in their own text, so that no number is written anew.

    `null` is an object without any. Names that begin with `$` are the platform's and left out. Of two
    of the same name the last one counts.

    Raises:
        NotAnObject: with a text for the job's owner.
    """
    start = _space(text, 0)
    if text[start:].rstrip(_SPACE) == "null":
        return {}
    if text[start : start + 1] != "{":
        raise NotAnObject('the input of such a program must be a JSON object, as {"data": …, "params": …}')
    try:
        found = dict(_members(text, start + 1))
    except (ValueError, IndexError) as exc:
        raise NotAnObject(f"the input is not JSON: {exc}") from None
    except RecursionError:
        raise NotAnObject("the input is nested too deeply") from None
    ours = {name: value for name, value in found.items() if not name.startswith("$")}
    for name in ours:
        _check_name(name)
    return ours


def _members(text: str, at: int) -> Iterator[tuple[str, str]]:
    at = _space(text, at)
    while text[at] != "}":
        name, at = _decoder.raw_decode(text, at)
        at = _space(text, at)
        if not isinstance(name, str) or text[at] != ":":
            raise ValueError(f"a name and a colon are expected at character {at}")
        start = _space(text, at + 1)
        _, end = _decoder.raw_decode(text, start)
        yield name, text[start:end]
        at = _space(text, end)
        if text[at] == ",":
            at = _space(text, at + 1)
        elif text[at] != "}":
            raise ValueError(f"a comma is expected at character {at}")


def _space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _check_name(name: str) -> None:
    fit = name not in ("", ".", "..") and name.isprintable() and "/" not in name and "\\" not in name
    try:
        fit = fit and len(name.encode()) <= _NAME_BYTES
    except UnicodeEncodeError:
        fit = False
    if not fit:
        shown = repr(name[:100])
        raise NotAnObject(f"the input's property {shown} cannot be the name of a file in INPUT_DIRECTORY")
