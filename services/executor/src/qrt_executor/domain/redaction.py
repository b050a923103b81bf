"""Striking secrets out of what is shown of a job: as they are, and in the forms they commonly take.

It guards against carelessness (a printed address, a traceback with a value in it), not against a
program that means to tell: that one can write its secret in any way it likes.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = b"***"
ENCODED_BYTES = 6
"""Shorter secrets are looked for as they are, but not in base64 or hexadecimal: too much looks like that."""
LINE_BYTES = 8
"""Lines of a secret with several are secrets of their own from this length on."""
CUT_BYTES = 8
"""How much of a secret must stand where a text was cut off to be taken for a part of it."""

_CUT = re.compile(rb"(\n\[\.\.\. [0-9]+ characters left out \.\.\.\]\n)")
"""Where a runner has shortened a long traceback."""
_HEAD = 4

Span = tuple[int, int]


class Redactor:
    """Knows one job's secrets, in every form they are looked for."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._needles = tuple(dict.fromkeys(form for each in secrets for form in _forms(each)))
        self._backwards = tuple(needle[::-1] for needle in self._needles)

    @property
    def active(self) -> bool:
        """There is something to look for."""
        return bool(self._needles)

    def text(self, text: str) -> str:
        """Return `text` without secrets, and without the part of one where it was cut off."""
        if not self._needles:
            return text
        pieces = _CUT.split(text.encode("utf-8", "replace"))
        return b"".join(map(self._piece, pieces)).decode("utf-8", "replace")

    def stream(self) -> "RedactedStream":
        """Return what redacts one stream of bytes, whatever pieces it comes in."""
        return RedactedStream(self._needles)

    def _piece(self, piece: bytes) -> bytes:
        first = len(piece) - _begun(self._backwards, piece[::-1])
        last = _begun(self._needles, piece)
        parts = [span for span in ((0, first), (last, len(piece))) if span[1] - span[0] >= CUT_BYTES]
        return _masked(piece, _merged([*parts, *_found(self._needles, piece)]))


class RedactedStream:
    """One stream of bytes. What may be the beginning of a secret is held back until it shows.

    That is never as much as the longest form of a secret, however long the stream is.
    """

    def __init__(self, needles: tuple[bytes, ...]) -> None:
        self._needles = needles
        self._held = b""
        self._told: int | None = None
        """After a mask: how much of what is held back it stands for as well."""

    def feed(self, data: bytes) -> bytes:
        """Take in what was read; return what can be shown of it now."""
        if not self._needles:
            return data
        data = self._held + data
        return self._shown(data, _begun(self._needles, data))

    def finish(self) -> bytes:
        """Return what was held back: nothing follows."""
        return self._shown(self._held, len(self._held))

    def _shown(self, data: bytes, end: int) -> bytes:
        """Return what is shown of `data` up to `end`, and hold back the rest."""
        told = [] if self._told is None else [(0, self._told)]
        spans = _merged([*told, *_found(self._needles, data)])
        shown = _masked(data[:end], [span for span in spans if span[0] < end])
        if told and end:
            shown = shown.removeprefix(MASK)
        ends_in_one = [stop for start, stop in spans if start < end <= stop or (told and start == end == 0)]
        self._held, self._told = data[end:], ends_in_one[0] - end if ends_in_one else None
        return shown


def _forms(secret: str) -> Iterator[bytes]:
    """Yield the ways in which a secret is commonly written."""
    values = [secret, *(line for line in secret.splitlines() if len(line.encode()) >= LINE_BYTES)]
    for value in values:
        yield value.encode()
        if value.strip():
            yield value.strip().encode()
        yield from filter(None, (each.encode() for each in _escaped(value)))
        if len(value.encode()) >= ENCODED_BYTES:
            yield from _encoded(value.encode())


def _escaped(value: str) -> Iterator[str]:
    """Yield a value as JSON, Python, addresses and HTML write it inside of quotes."""
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield ascii(value)[1:-1]
    yield repr(value.encode())[2:-1]
    yield from (quote(value), quote(value, safe=""), quote_plus(value))
    yield html.escape(value)


def _encoded(value: bytes) -> Iterator[bytes]:
    """Yield a value in hexadecimal and in base64, there also in the midst of something longer."""
    yield value.hex().encode()
    yield value.hex().upper().encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(value).rstrip(b"=")
        for before in range(3):
            text = encode(bytes(before) + value).rstrip(b"=")
            # Characters that also depend on what stands before and after it are no sign of it.
            yield text[(0, 2, 3)[before] : (before + len(value)) * 8 // 6]


def _found(needles: tuple[bytes, ...], data: bytes) -> list[Span]:
    """Return where needles stand, overlapping ones of one needle as one."""
    spans: list[Span] = []
    for needle in needles:
        at, begun, stop = data.find(needle), -1, -1
        while at >= 0:
            if at > stop:
                if begun >= 0:
                    spans.append((begun, stop))
                begun = at
            stop = at + len(needle)
            at = data.find(needle, at + 1)
        if begun >= 0:
            spans.append((begun, stop))
    return spans


def _begun(needles: tuple[bytes, ...], data: bytes) -> int:
    """Return where the longest end of `data` begins that is the beginning, not all, of a needle."""
    best = len(data)
    for needle in needles:
        at = data.find(needle[:_HEAD], max(0, len(data) - len(needle) + 1), best + _HEAD)
        while 0 <= at < best and len(needle) > _HEAD:
            if needle.startswith(data[at:]):
                best = at
                break
            at = data.find(needle[:_HEAD], at + 1, best + _HEAD)
        for length in range(min(_HEAD, len(needle), len(data) + 1) - 1, len(data) - best, -1):
            if data.endswith(needle[:length]):
                best = len(data) - length
                break
    return best


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _masked(data: bytes, spans: list[Span]) -> bytes:
    pieces, at = [], 0
    for start, stop in spans:
        pieces += [data[at:start], MASK]
        at = stop
    return b"".join([*pieces, data[at:]])
