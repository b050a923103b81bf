"""The way out of a build's sandbox: an HTTP proxy that leads where packages come from and nowhere else.

A build has a network namespace with nothing in it but this: a socket that listens there, handed to
the executor, which makes the connections. So what a package's build code does reaches the index, and
neither the rest of the world nor the executor's loopback nor the network it stands in.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

Host = tuple[str, int]

_HEAD_BYTES = 32 * 1024
_PIECE = 64 * 1024
_CONNECT_SECONDS = 20.0
_CONNECTIONS = 64
_INNER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.168.0.0/16", "224.0.0.0/3", "::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8",
        ),
    )
)  # fmt: skip


class Refused(Exception):
    """A place that builds do not reach."""


def is_inner(address: str) -> bool:
    """Tell whether an IP address is of this host, of a private network, or of a group."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (mapped := ip.ipv4_mapped or ip.sixtofour):
        ip = mapped
    return any(ip.version == net.version and ip in net for net in _INNER)


class Egress:
    """Serves the proxy of one sandbox.

    It leads to `open_to`, wherever that stands; `anywhere`: to the public network too, which is for
    runs in which no code of a package runs.
    """

    def __init__(self, *, open_to: frozenset[Host], anywhere: bool = False, most_bytes: int) -> None:
        self._open_to = open_to
        self._anywhere = anywhere
        self._left = most_bytes
        self.reached: set[Host] = set()
        """Where connections were made to."""
        self._room = asyncio.Semaphore(_CONNECTIONS)

    @asynccontextmanager
    async def serving(self, listener: socket.socket) -> AsyncIterator[None]:
        """Answer on `listener`, which this closes, until the context is left."""
        running: set[asyncio.Task[None]] = set()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - asyncio calls this in a task
            running.add(task)
            try:
                async with self._room:
                    await self._answer(reader, writer)
            except (OSError, EOFError, ValueError, TimeoutError) as exc:
                log.debug("a connection of a build has ended: %s", exc)
            finally:
                running.discard(task)
                writer.close()

        server = await asyncio.start_server(answer, sock=listener, limit=_HEAD_BYTES)
        try:
            yield
        finally:
            server.close()
            for task in tuple(running):
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_CONNECT_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        try:
            host = _host(method, target)
            async with asyncio.timeout(_CONNECT_SECONDS):
                far_reader, far_writer = await self._connect(host)
        except (Refused, OSError, TimeoutError) as exc:
            status = "403 Forbidden" if isinstance(exc, Refused) else "502 Bad Gateway"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            return
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                far_writer.write(_relative(head))
            await self._both_ways(reader, writer, far_reader, far_writer)
        finally:
            far_writer.close()

    async def _connect(self, host: Host) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an address that was looked at: a name may mean another one the next time."""
        if host not in self._open_to and not self._anywhere:
            raise Refused(f"{host[0]} is not for builds")
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(*host, type=socket.SOCK_STREAM)
        addresses = [str(each[4][0]) for each in found]
        if host not in self._open_to and any(map(is_inner, addresses)):
            raise Refused(f"{host[0]} is not for builds")
        last: OSError | None = None
        for address in addresses:
            try:
                streams = await asyncio.open_connection(address, host[1])
            except OSError as exc:
                last = exc
            else:
                self.reached.add(host)
                return streams
        raise last or OSError("no address")

    async def _both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        async with asyncio.TaskGroup() as group:
            out = group.create_task(self._pump(reader, far_writer))
            await self._pump(far_reader, writer)
            out.cancel()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while self._left > 0 and (data := await reader.read(_PIECE)):
                self._left -= len(data)
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()


def _host(method: str, target: str) -> Host:
    parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
    if method != "CONNECT" and parts.scheme != "http":
        raise Refused("only http is forwarded")
    if not parts.hostname:
        raise Refused("no host")
    return parts.hostname, parts.port or 80


def _relative(head: bytes) -> bytes:
    """Turn a request to a proxy into one to a server, which closes the connection after its answer."""
    first, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, version = first.split(" ", 2)
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [each for each in fields if not each.lower().startswith(("proxy-", "connection:"))]
    lines = [f"{method} {path} {version}", *kept, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")
