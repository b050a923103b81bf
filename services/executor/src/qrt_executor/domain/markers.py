"""What a container says of its work on its standard output, in lines that begin with `PlanQK:Job:`.

    PlanQK:Job:MultilineResult          the first such block is the result, unless there is an output.json
    { "sum": 42 }
    PlanQK:Job:MultilineResult
    PlanQK:Job:Result: {"sum": 42}      the older form of it; the first one counts
    PlanQK:Job:InterimResult: {"n": 1}  one interim result per line

The lines stay in the log as they are. What is not JSON where JSON is due is a line like any other.
"""

from dataclasses import dataclass, field

import orjson

BLOCK = b"PlanQK:Job:MultilineResult"
RESULT = b"PlanQK:Job:Result:"
INTERIM = b"PlanQK:Job:InterimResult:"


class TooLong(Exception):
    """A marked line or block is longer than what it is meant for may be."""


@dataclass(slots=True)
class Markers:
    """Reads the lines of one stream. What is kept of them is bounded by the two limits, in bytes."""

    message_bytes: int
    result_bytes: int
    result: bytes | None = None
    """Of the first block or result line, as it was written; not looked at."""
    in_block: bool = False
    """It came in a block, which must hold an object."""
    _line: bytearray = field(default_factory=bytearray)
    _passing: bool = False
    """The rest of the line is of no interest."""
    _block: bytearray | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Take in what was read; return the interim results it completes. Raises TooLong."""
        found: list[bytes] = []
        for piece in _lines(data):
            ended = piece.endswith(b"\n")
            if self._block is not None or not self._passing:
                self._take(piece)
            if ended:
                found += self._end_of_line()
        return found

    def _take(self, piece: bytes) -> None:
        self._line += piece
        if self._block is not None:
            if len(self._block) + len(self._line) > self.result_bytes + len(BLOCK) + 2:
                raise TooLong(f"a result of more than {self.result_bytes} bytes on its standard output")
        elif not _may_be_marked(self._line):
            self._passing = True
            self._line.clear()
        elif len(self._line) > max(self.message_bytes, self.result_bytes) + len(INTERIM) + 2:
            raise TooLong("a line of results that is longer than any result may be")

    def _end_of_line(self) -> list[bytes]:
        line = bytes(self._line)
        self._line.clear()
        self._passing = False
        text = line.strip()
        if self._block is not None:
            self._in_block(line, text)
        elif text == BLOCK:
            self._block = bytearray() if self.result is None else None
        elif text.startswith(RESULT) and self.result is None:
            self.result = text[len(RESULT) :].strip()
        elif text.startswith(INTERIM):
            return self._interim(text[len(INTERIM) :].strip())
        return []

    def _in_block(self, line: bytes, text: bytes) -> None:
        assert self._block is not None  # noqa: S101 - its caller has looked
        if text == BLOCK:
            self.result, self._block, self.in_block = bytes(self._block).strip(), None, True
        else:
            self._block += line

    def _interim(self, value: bytes) -> list[bytes]:
        if len(value) > self.message_bytes:
            raise TooLong(f"an interim result of {len(value)} bytes where {self.message_bytes} are allowed")
        try:
            orjson.loads(value)
        except orjson.JSONDecodeError:
            return []
        return [value]


def _lines(data: bytes) -> list[bytes]:
    r"""Cut at \n alone: a progress bar's \r ends no line."""
    lines = data.split(b"\n")
    whole = [line + b"\n" for line in lines[:-1]]
    return [*whole, lines[-1]] if lines[-1] else whole


def _may_be_marked(line: bytearray) -> bool:
    start = bytes(line[: len(BLOCK) + 64]).lstrip()
    return any(marker.startswith(start[: len(marker)]) for marker in (BLOCK, RESULT, INTERIM))
