"""Hundreds of WebSocket listeners in one thread: raw sockets, since the clients are not what is tested."""

import asyncio
import base64
import os
import select
import socket
from urllib.parse import urlsplit


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


class Readers:
    """Listeners that keep what they read; `read_all` runs in a thread of its own."""

    def __init__(self, url: str, token: str, count: int) -> None:
        opened = [connect(url, token) for _ in range(count)]
        self._sockets = {each.fileno(): each for each, _ in opened}
        self.received = {each.fileno(): bytearray(rest) for each, rest in opened}
        for each in self._sockets.values():
            each.setblocking(False)

    async def read_all(self) -> list[bytes]:
        """Return what each listener was sent until the server closed it."""
        return await asyncio.to_thread(self._read_all)

    def _read_all(self) -> list[bytes]:
        poll = select.epoll()
        for descriptor in self._sockets:
            poll.register(descriptor, select.EPOLLIN)
        left = dict(self._sockets)
        while left:
            for descriptor, _ in poll.poll():
                data = left[descriptor].recv(1 << 18)
                self.received[descriptor] += data
                if not data or b'"type":"end"' in self.received[descriptor][-400:]:
                    poll.unregister(descriptor)
                    left.pop(descriptor)
        return [bytes(each) for each in self.received.values()]

    def close(self) -> None:
        """Leave without a word."""
        for each in self._sockets.values():
            each.close()
