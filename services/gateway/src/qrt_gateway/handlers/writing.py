"""Writing live frames straight to a WebSocket, where its server can take them."""

from starlette.websockets import WebSocket

from qrt_gateway.service.frames import WRITE, LiveFrame, Write


def writer(websocket: WebSocket) -> Write | None:
    """Return what writes a live frame at once, None where the server offers nothing of the kind.

    Every frame takes the long way then.
    """
    extension = websocket.scope.get("extensions", {}).get(WRITE)
    if extension is None:
        return None
    write = extension["write"]

    def at_once(frame: LiveFrame) -> bool:
        sent: bool = write(frame.message)
        return sent

    return at_once
