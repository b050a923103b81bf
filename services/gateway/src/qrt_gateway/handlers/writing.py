"""Writing shared frames straight to a WebSocket, where its server can take them."""

from starlette.websockets import WebSocket

from qrt_contracts.api import Frame
from qrt_gateway.service.frames import WRITE, SharedFrame, Write, text_of


def writer(websocket: WebSocket) -> Write | None:
    """Return what writes a shared frame at once, None where the server offers nothing of the kind.

    Every frame takes the long way then.
    """
    extension = websocket.scope.get("extensions", {}).get(WRITE)
    if extension is None:
        return None
    write = extension["write"]

    def at_once(frame: SharedFrame) -> bool:
        sent: bool = write(frame.message)
        return sent

    return at_once


async def send(websocket: WebSocket, frame: Frame, write: Write | None) -> None:
    """Send a frame, by `write` if it takes it. A client that does not read holds this up."""
    if write is None or not isinstance(frame, SharedFrame) or not write(frame):
        await websocket.send_text(text_of(frame))
