"""Text of programs on people's screens: shown as it is, but for what would command the screen."""

import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and newline: escape sequences begin with one of them
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # what turns the direction of text round, or ends lines
    "\ud800-\udfff\ufeff\ufff9-\ufffb]"  # no characters at all
)


def harmless(text: str) -> str:
    r"""Return the text with control characters and the like written out, as `\x1b`.

    Tabs and newlines stay; a carriage return, with which text could be written over, is a newline.
    """
    return _UNSAFE.sub(_written_out, text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    r"""Return the text as `harmless` does and on one line: its tabs and newlines are blanks."""
    return harmless(" ".join(text.splitlines())).replace("\t", " ")


def harmless_json(text: str) -> str:
    r"""Return a JSON text that means the same, with such characters as `\u001b` inside its strings.

    Newlines between its parts stay as they are.
    """
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
