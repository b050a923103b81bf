"""Frames as they are sent. One that goes to many listeners is written out once for all of them."""

from collections.abc import Callable
from functools import cached_property

from qrt_contracts.api import Frame, OutputsFrame

WRITE = "qrt.write"
"""Extension of a WebSocket's ASGI scope: `write(message)` sends a prepared message at once, or not at all."""

_FINAL_TEXT = 0x81


class SharedFrame(OutputsFrame):
    """Outputs as they came live or were read, shared by all listeners of the job who get just these."""

    @cached_property
    def text(self) -> str:
        """The frame's JSON."""
        return self.model_dump_json()

    @cached_property
    def message(self) -> bytes:
        """The frame as a whole WebSocket message."""
        return websocket_message(self.text.encode())


Write = Callable[[SharedFrame], bool]
"""Sends a shared frame at once, if that needs no waiting; False if it was not sent."""


def text_of(frame: Frame) -> str:
    """Return a frame's JSON."""
    return frame.text if isinstance(frame, SharedFrame) else frame.model_dump_json()


def websocket_message(payload: bytes) -> bytes:
    """Return a text message as a server sends it: one frame, unmasked (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((_FINAL_TEXT, size)) + payload
    if size < 1 << 16:
        return bytes((_FINAL_TEXT, 126)) + size.to_bytes(2) + payload
    return bytes((_FINAL_TEXT, 127)) + size.to_bytes(8) + payload
