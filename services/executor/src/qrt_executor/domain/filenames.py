"""Names of output files: which are kept, and how the others are shown."""

import os

_PATH_BYTES = 512
_SHOWN_CHARACTERS = 200


def misnamed(path: str) -> str | None:
    """Return why a path below an output directory cannot be a kept file's name, None if it can."""
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if length > _PATH_BYTES:
        return f"its path is longer than {_PATH_BYTES} bytes"
    if any(not each.isprintable() or each in "\\:" for each in path):
        return "its name holds a control character, a backslash or a colon"
    return None


def shown(path: str) -> str:
    """Return a path as it can be shown: what is not text in it is escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    printable = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return printable if len(printable) <= _SHOWN_CHARACTERS else printable[:_SHOWN_CHARACTERS] + "…"
