"""Many WebSocket listeners in one process, as cheap as Python allows, so that the server is what is measured.

Says `ready` when all are connected, then measures and prints one JSON object:
`latency` collects publish -> client times for some seconds, `count` counts what all get in that time.
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
MARK = b'": 1'
"""What is in every value once and nowhere else: a space stands only in what the program wrote."""
MARK_EDGE = len(MARK) - 1
CONNECT_TRIES = 10
LIVE_NANOSECONDS = 1_000_000_000
PATIENCE_NANOSECONDS = 30_000_000_000
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


def count(connections: list[socket.socket], *, seconds: float) -> dict[str, float]:
    """Count the values that all listeners together get in some seconds, once each of them is up to date.

    A listener is up to date when it has got a value that was published after the last one was connected.
    Values older than `LIVE_NANOSECONDS` when they arrive are counted apart: they do not come live.
    """
    poll, sockets = _polled(connections)
    behind, connected = set(sockets), time.time_ns()
    edges = dict.fromkeys(sockets, b"")
    live, late, opened, last = 0, 0, 0, time.time_ns()
    while not opened or last < opened + seconds * 1e9:
        for descriptor, _ in poll.poll(0.1):
            data = sockets[descriptor].recv(1 << 18)
            if not data:
                raise SystemExit("a connection ended early")
            now, edge = time.time_ns(), edges[descriptor]
            edges[descriptor] = data[-MARK_EDGE:] if len(data) >= MARK_EDGE else (edge + data)[-MARK_EDGE:]
            found = data.count(MARK) + (edge + data[:MARK_EDGE]).count(MARK)
            published = _newest(data)
            if opened and now - published <= LIVE_NANOSECONDS:
                live += found
            elif opened:
                late += found
            elif published > connected:
                behind.discard(descriptor)
        opened, last = opened or (0 if behind else time.time_ns()), time.time_ns()
        if last > connected + PATIENCE_NANOSECONDS + seconds * 1e9:
            raise SystemExit(f"{len(behind)} listeners did not catch up")
    took = (last - opened) / 1e9
    return {"seconds": round(took, 3), "per_s": round(live / took), "late_per_s": round(late / took)}


def _newest(data: bytes) -> int:
    """Return when the newest value that is whole in `data` was published; 0 if none is."""
    end = len(data)
    while (at := data.rfind(MARK, 0, end)) >= 0:
        digits = data[at + len(MARK) - 1 : at + len(MARK) + 18]
        if len(digits) == 19 and digits.isdigit():
            return int(digits)
        end = at
    return 0


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
    given = parser.parse_args()
    connections = [connect(given.url, given.token) for _ in range(given.listeners)]
    print("ready", flush=True)
    if given.mode == "latency":
        found = latency(connections, seconds=given.seconds)
    else:
        found = count(connections, seconds=given.seconds)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
