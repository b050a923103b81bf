"""The executor's half of an attempt's event socket: frames in, checked, in a legal order.

Frame: type u8, length u32 big-endian, payload. `qrt_runner.frames` is the program's half. Nothing
here is trusted: a program can write anything to its own socket.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

import orjson

from qrt_contracts.faults import FieldError
from qrt_executor.domain.verdict import Claim

_HEADER = struct.Struct("!BI")
_ERROR_BYTES = 512 * 1024
_CALL_BYTES = 16 << 20
_SHOWN_CHARACTERS = 100_000
_PLACES = 100
_PLACE_CHARACTERS = 4096


class ProtocolViolation(Exception):
    """A program has sent what its side of the protocol does not allow."""


class Frame(IntEnum):
    """What a frame is; the numbers are the program side's too."""

    READY = 1
    START = 2
    SOURCE = 3
    INPUT = 4
    INTERIM = 5
    RESULT = 6
    ERROR = 7
    CALL = 8
    REPLY = 9
    TELL = 10


def frame(kind: Frame, payload: bytes) -> bytes:
    """Return one frame to send."""
    return _HEADER.pack(kind, len(payload)) + payload


READY = frame(Frame.READY, b"")
"""What an init sends first; nothing else is read from the socket with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The largest payload of each frame a program may send, in bytes."""

    message_bytes: int
    result_bytes: int

    def of(self, kind: int) -> int:
        """Return the cap of a frame type. Raises ProtocolViolation for one a program may not send."""
        match kind:
            case Frame.INTERIM:
                return self.message_bytes + 1
            case Frame.RESULT:
                return self.result_bytes
            case Frame.ERROR:
                return _ERROR_BYTES
            case Frame.CALL | Frame.TELL:
                return _CALL_BYTES
            case _:
                raise ProtocolViolation(f"a frame of type {kind}, which a program may not send")


class FrameReader:
    """Cuts what is read into frames, and checks their order.

    It is (INTERIM | CALL | TELL)*, then RESULT or ERROR.
    """

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._buffer = bytearray()
        self._ended = False

    def feed(self, data: bytes) -> list[tuple[Frame, bytes]]:
        """Return the frames that `data` completes. Raises ProtocolViolation."""
        self._buffer += data
        frames: list[tuple[Frame, bytes]] = []
        at = 0
        while len(self._buffer) - at >= _HEADER.size:
            kind, size = _HEADER.unpack_from(self._buffer, at)
            self._check(kind, size)
            end = at + _HEADER.size + size
            if len(self._buffer) < end:
                break
            self._ended = kind in (Frame.RESULT, Frame.ERROR)
            frames.append((Frame(kind), bytes(self._buffer[at + _HEADER.size : end])))
            at = end
        del self._buffer[:at]
        return frames

    def _check(self, kind: int, size: int) -> None:
        if self._ended:
            raise ProtocolViolation("a frame after its result or error")
        cap = self._caps.of(kind)
        if size > cap:
            raise ProtocolViolation(f"a frame of {size} bytes where {cap} are allowed")


def claim_from(payload: bytes) -> Claim:
    """Return an ERROR frame's content as text to show, whatever it holds."""
    try:
        fields = orjson.loads(payload)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise ProtocolViolation("an error report that is not a JSON object")
    trace = fields.get("traceback")
    return Claim(
        code=str(fields.get("code"))[:64],
        detail=str(fields.get("detail"))[:_SHOWN_CHARACTERS],
        traceback=None if trace is None else str(trace)[:_SHOWN_CHARACTERS],
        errors=_places(fields.get("errors")),
    )


def _places(told: object) -> tuple[FieldError, ...]:
    places = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    return tuple(
        FieldError(
            pointer=str(each.get("pointer"))[:_PLACE_CHARACTERS],
            detail=str(each.get("detail"))[:_PLACE_CHARACTERS],
        )
        for each in places[:_PLACES]
    )
