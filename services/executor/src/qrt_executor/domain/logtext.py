"""From the bytes a program writes to pieces of log text, within a budget.

A piece is whole lines that were read together, with the line ends they had, or a part of a line that
was left standing; a job's log is the concatenation of its pieces.
"""

import codecs

PIECE_CHARACTERS = 64 * 1024
"""The longest piece; a longer line is cut into several."""


class LogBudget:
    """How many bytes of log an attempt keeps, over both streams; the rest is counted."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self.dropped = 0

    def keep(self, data: bytes) -> bytes:
        """Return the part of `data` that is kept."""
        kept = data[: self._left]
        self._left -= len(kept)
        self.dropped += len(data) - len(kept)
        return kept


class LogText:
    """One stream: decodes UTF-8 (with replacement) and cuts at line ends."""

    def __init__(self, budget: LogBudget) -> None:
        self._budget = budget
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    @property
    def unfinished(self) -> bool:
        """A part of a line waits for its end."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """Take in what was read; return the pieces it completes."""
        text = self._rest + self._decoder.decode(self._budget.keep(data))
        whole = text.rfind("\n") + 1
        if len(text) - whole >= PIECE_CHARACTERS:
            whole = len(text)
        self._rest = text[whole:]
        return _pieces(text[:whole])

    def flush(self, *, final: bool = False) -> list[str]:
        """Return the unfinished line as it stands; `final`: nothing will ever follow."""
        text = self._rest + (self._decoder.decode(b"", final=True) if final else "")
        self._rest = ""
        return _pieces(text)


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        cut = text.rfind("\n", start, start + PIECE_CHARACTERS) + 1 or start + PIECE_CHARACTERS
        pieces.append(text[start:cut])
        start = cut
    if start < len(text):
        pieces.append(text[start:])
    return pieces
