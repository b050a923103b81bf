"""Hundreds of WebSocket listeners in one thread: raw sockets, since the clients are not what is tested."""

import asyncio
import base64
import contextlib
import os
import select
import socket
from urllib.parse import urlsplit

PING, PONG = 0x89, 0x8A


class Refused(Exception):
    """The server did not take the handshake."""


def connect(url: str, token: str, *, receive_buffer: int | None = None) -> tuple[socket.socket, bytes]:
    """Return a connected WebSocket, blocking, and what came behind the handshake's answer.

    A small `receive_buffer` (bytes) makes a client that does not read felt sooner.
    """
    parts = urlsplit(url)
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(60)
    connection.connect((parts.hostname, parts.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = (
        f"GET {parts.path}{'?' if parts.query else ''}{parts.query} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        f"Authorization: Bearer {token}",
    )
    connection.sendall("\r\n".join((*lines, "", "")).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(65536)
        if not piece:
            break
        answer += piece
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b" 101 " not in head.split(b"\r\n", 1)[0]:
        connection.close()
        raise Refused(answer[:200])
    return connection, rest


def _end_of_frame(received: bytearray, at: int) -> int | None:
    """Return where a server's frame ends that begins at `at`; None if it is not all there."""
    if len(received) < at + 2:
        return None
    extra = {126: 2, 127: 8}.get(received[at + 1], 0)
    size = int.from_bytes(received[at + 2 : at + 2 + extra]) if extra else received[at + 1]
    end = at + 2 + extra + size
    return end if len(received) >= end else None


class Readers:
    """Listeners that read from the moment they are connected, answer pings, and keep what they read."""

    def __init__(self, url: str, token: str, count: int) -> None:
        """Connect them one by one; blocks."""
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._left: set[int] = set()
        self.received: dict[int, bytearray] = {}
        self._frames: dict[int, int] = {}
        """Where the next frame of each begins."""
        for _ in range(count):
            self._add(*connect(url, token))
            self._read(0)

    async def read_all(self) -> list[bytes]:
        """Return what each listener was sent until the server closed it."""
        return await asyncio.to_thread(self._read_all)

    def _read_all(self) -> list[bytes]:
        while self._left:
            self._read(None)
        return [bytes(each) for each in self.received.values()]

    def _add(self, connection: socket.socket, begun: bytes) -> None:
        connection.setblocking(False)
        descriptor = connection.fileno()
        self._sockets[descriptor] = connection
        self.received[descriptor], self._frames[descriptor] = bytearray(begun), 0
        self._left.add(descriptor)
        self._poll.register(descriptor, select.EPOLLIN)

    def _read(self, seconds: float | None) -> None:
        """Take what there is, waiting for it at most `seconds`."""
        for descriptor, _ in self._poll.poll(seconds):
            data = b""
            with contextlib.suppress(ConnectionResetError):
                data = self._sockets[descriptor].recv(1 << 18)
            self.received[descriptor] += data
            self._answer_pings(descriptor)
            if not data or b'"type":"end"' in self.received[descriptor][-400:]:
                self._poll.unregister(descriptor)
                self._left.discard(descriptor)

    def _answer_pings(self, descriptor: int) -> None:
        """Go over the frames that are whole, and answer pings: a server gives up who does not."""
        received, at = self.received[descriptor], self._frames[descriptor]
        while (end := _end_of_frame(received, at)) is not None:
            if received[at] == PING:
                payload = bytes(received[at + 2 : end])
                with contextlib.suppress(OSError):
                    self._sockets[descriptor].send(bytes((PONG, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
            at = end
        self._frames[descriptor] = at

    def close(self) -> None:
        """Leave without a word."""
        for each in self._sockets.values():
            each.close()
