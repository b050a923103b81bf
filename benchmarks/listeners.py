"""Many WebSocket listeners in one process, as cheap as Python allows, so that the server is what is measured.

Says `ready` when all are connected, then measures and prints one JSON object:
`latency` collects publish -> client times for some seconds, `count` counts `expected` values per listener.
A value is a JSON object with its time of publication in nanoseconds under `t`.
"""

import argparse
import base64
import json
import os
import re
import select
import socket
import statistics
import time
from urllib.parse import urlsplit

VALUE = re.compile(rb'\{\\?"t\\?": (\d{19})\}')
MARK = re.compile(rb't\\?": ')
CARRIED = 64
CONNECT_TRIES = 10
IDLE_SECONDS = 20.0
SETTLE_NANOSECONDS = 3_000_000_000
"""What is published so soon after the last listener came is not counted: the past is still being sent."""


def connect(url: str, token: str) -> socket.socket:
    """Return a connected WebSocket; one that is asked to come back in a second does."""
    for _ in range(CONNECT_TRIES):
        connection, answer = handshake(url, token)
        if b" 101 " in answer:
            connection.setblocking(False)
            return connection
        connection.close()
        if b" 503 " not in answer:
            break
        time.sleep(1)
    raise SystemExit(f"refused: {answer!r}")


def handshake(url: str, token: str) -> tuple[socket.socket, bytes]:
    """Ask for a WebSocket; return the connection and the first line of the answer."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        f"Authorization: Bearer {token}",
    )
    connection.sendall("\r\n".join((*lines, "", "")).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    return connection, answer.split(b"\r\n", 1)[0]


def latency(connections: list[socket.socket], *, seconds: float) -> dict[str, float]:
    """Collect publish -> client times over all listeners."""
    poll, sockets = _polled(connections)
    since, times = time.time_ns() + SETTLE_NANOSECONDS, list[float]()
    seconds += SETTLE_NANOSECONDS / 1e9
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for descriptor, _ in poll.poll(0.1):
            data = sockets[descriptor].recv(1 << 16)
            now = time.time_ns()
            sent = map(int, VALUE.findall(data))
            times += [(now - each) / 1e6 for each in sent if each > since]
    if len(times) < 100:
        raise SystemExit(f"only {len(times)} values came")
    cuts = statistics.quantiles(times, n=100)
    return {"p50_ms": round(cuts[49], 3), "p95_ms": round(cuts[94], 3), "values": len(times)}


def count(connections: list[socket.socket], *, expected: int) -> dict[str, float]:
    """Count values until every listener has `expected` of them."""
    poll, sockets = _polled(connections)
    left = dict.fromkeys(sockets, expected)
    carried = dict.fromkeys(sockets, b"")
    total, first, last = 0, 0.0, time.monotonic()
    while left:
        events = poll.poll(1.0)
        if not events and time.monotonic() - last > IDLE_SECONDS:
            raise SystemExit(f"{sum(left.values())} values never came")
        for descriptor, _ in events:
            data = sockets[descriptor].recv(1 << 18)
            if not data:
                raise SystemExit("a connection ended early")
            text = carried[descriptor] + data
            marks = [mark.end() for mark in MARK.finditer(text)]
            carried[descriptor] = text[max(marks[-1] if marks else 0, len(text) - CARRIED) :]
            if marks:
                last = time.monotonic()
                first = first or last
                total += len(marks)
                if descriptor in left:
                    left[descriptor] -= len(marks)
                    if left[descriptor] <= 0:
                        del left[descriptor]
    return {"values": total, "seconds": round(last - first, 3), "per_s": round(total / (last - first))}


def _polled(connections: list[socket.socket]) -> tuple[select.epoll, dict[int, socket.socket]]:
    poll = select.epoll()
    for connection in connections:
        poll.register(connection, select.EPOLLIN)
    return poll, {connection.fileno(): connection for connection in connections}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["latency", "count"])
    parser.add_argument("url")
    parser.add_argument("--token", default="none")
    parser.add_argument("--listeners", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--expected", type=int, default=0)
    given = parser.parse_args()
    connections = [connect(given.url, given.token) for _ in range(given.listeners)]
    print("ready", flush=True)
    if given.mode == "latency":
        found = latency(connections, seconds=given.seconds)
    else:
        found = count(connections, expected=given.expected)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
