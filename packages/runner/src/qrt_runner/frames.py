"""Frames on an attempt's event socket: type u8, length u32 big-endian, payload.

The executor's half is `qrt_executor.adapters.wire`; the two share no code on purpose (nothing of
ours may be importable by a program), and a test holds their numbers together.
"""

import socket
import struct
from enum import IntEnum

HEADER = struct.Struct("!BI")


class Frame(IntEnum):
    """What a frame is, and who sends it."""

    READY = 1
    """program's process or its init -> executor: first, once, before anything of the program is there."""
    START = 2
    """executor -> program: JSON settings of the run."""
    SOURCE = 3
    """executor -> program: the program's source, UTF-8."""
    INPUT = 4
    """executor -> program: the input, a JSON text. The program starts when it has arrived."""
    INTERIM = 5
    """program -> executor: one byte of encoding, then the data."""
    RESULT = 6
    """program -> executor: the result, a JSON text."""
    ERROR = 7
    """program -> executor: JSON `{code, detail, traceback}`."""
    CALL = 8
    """program -> executor: JSON `{method, ...}`, one at a time; the program waits for the reply."""
    REPLY = 9
    """executor -> program: JSON, the answer to the call."""
    TELL = 10
    """program -> executor: what a CALL holds, but the program does not wait, and there is no reply."""


def send(channel: socket.socket, frame: Frame, *parts: bytes) -> None:
    """Send one frame whose payload is the concatenation of `parts`; blocks while the peer is busy."""
    size = sum(len(part) for part in parts)
    header = HEADER.pack(frame, size)
    if size <= 65536:
        channel.sendall(b"".join((header, *parts)))
        return
    channel.sendall(header)
    for part in parts:
        channel.sendall(part)


def send_ready(channel: socket.socket, *descriptors: int) -> None:
    """Send READY, and with it what the executor is to hold of a jail.

    That is, in this order, the keeper, the sender (both as pidfds) and the output directory.
    """
    header = HEADER.pack(Frame.READY, 0)
    if descriptors:
        socket.send_fds(channel, [header], descriptors)
    else:
        channel.sendall(header)


def receive(channel: socket.socket) -> tuple[int, bytes]:
    """Return the next frame. Raises EOFError when the peer is gone."""
    kind, size = HEADER.unpack(_exactly(channel, HEADER.size))
    return kind, _exactly(channel, size)


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = channel.recv_into(view)
        if count == 0:
            raise EOFError("the executor has closed the event socket")
        view = view[count:]
    return bytes(data)
