"""Frames as they are sent. A live frame goes to many listeners and is written out once for all of them."""

from collections.abc import Callable
from functools import cached_property

from qrt_contracts.api import Frame, OutputsFrame

WRITE = "qrt.write"
"""Extension of a WebSocket's ASGI scope: `write(message)` sends a prepared message at once, or not at all."""

_FINAL_TEXT = 0x81


class LiveFrame(OutputsFrame):
    """Outputs as they came live, shared by all listeners of the job."""

    @cached_property
    def text(self) -> str:
        """The frame's JSON."""
        return self.model_dump_json()

    @cached_property
    def message(self) -> bytes:
        """The frame as a whole WebSocket message."""
        return websocket_message(self.text.encode())


Write = Callable[[LiveFrame], bool]
"""Sends a live frame at once, if that needs no waiting; False if it was not sent."""


def text_of(frame: Frame) -> str:
    """Return a frame's JSON."""
    return frame.text if isinstance(frame, LiveFrame) else frame.model_dump_json()


def websocket_message(payload: bytes) -> bytes:
    """Return a text message as a server sends it: one frame, unmasked (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((_FINAL_TEXT, size)) + payload
    if size < 1 << 16:
        return bytes((_FINAL_TEXT, 126)) + size.to_bytes(2) + payload
    return bytes((_FINAL_TEXT, 127)) + size.to_bytes(8) + payload
