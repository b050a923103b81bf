"""`python -m qrt_chassis.ready PORT`: ask the health endpoints at a port of this machine; 0 if ready.

For health checks of containers, whose images have no HTTP client: it starts in a few milliseconds.
"""

import socket
import sys

TIMEOUT_SECONDS = 4.0
_READY = b"200"


def answer(port: int, path: str = "/readyz") -> bytes:
    """Return the head and the body that the health endpoints of this machine answer.

    Raises:
        OSError: nobody answers there, or not in time.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        pieces = []
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


def main() -> int:
    """Print what the service answers; return 0 if it is ready, 1 if it is not."""
    try:
        text = answer(int(sys.argv[1]))
    except OSError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    head, _, body = text.partition(b"\r\n\r\n")
    sys.stdout.write(body.decode(errors="replace") + "\n")
    return 0 if head.split(b" ", 2)[1:2] == [_READY] else 1


if __name__ == "__main__":
    raise SystemExit(main())
