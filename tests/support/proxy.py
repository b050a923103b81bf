"""A TCP proxy that misbehaves on demand: cuts, pauses, slows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 64 * 1024


class Proxy:
    """Passes bytes between clients and one server; see `open_proxy`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._pipes: set[asyncio.Task[None]] = set()
        self.connections = 0
        """Connections taken so far."""
        self.bytes_up = 0
        """Bytes passed from clients to the server."""
        self.delay_seconds = 0.0
        """Wait before each chunk in either direction."""
        self.cut_after_up: int | None = None
        """Cut everything once this many bytes have gone up; then it is None again."""
        self.drop_down = 0
        """How many more answers are swallowed, each with its connection cut."""
        self.port = 0

    def url(self, url: str) -> str:
        """Return `url` with this proxy in the server's place."""
        parts = urlsplit(url)
        user = f"{parts.username}:{parts.password}@" if parts.username else ""
        return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self.port}"))

    def cut(self) -> None:
        """Break every connection, both ends; new ones are taken."""
        for writer in list(self._writers):
            writer.transport.abort()

    def refuse(self) -> None:
        """Break every connection and take no new one until `resume`."""
        self._refusing = True
        self.cut()

    def pause(self) -> None:
        """Pass nothing more and break nothing: connections are half-open."""
        self._flowing.clear()

    def resume(self) -> None:
        """Pass bytes and take connections again."""
        self._refusing = False
        self._flowing.set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        self.connections += 1
        if self._refusing:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, server_writer}
        self._writers |= pair
        pipes = [
            asyncio.create_task(self._pipe(reader, server_writer, up=True)),
            asyncio.create_task(self._pipe(server_reader, writer, up=False)),
        ]
        self._pipes.update(pipes)
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers -= pair
            self._pipes.difference_update(pipes)
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
            for each in pair:
                each.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                await self._flowing.wait()
                await asyncio.sleep(self.delay_seconds)
                if up:
                    chunk = self._count(chunk)
                elif self.drop_down > 0:
                    self.drop_down -= 1
                    return
                writer.write(chunk)
                await writer.drain()

    def _count(self, chunk: bytes) -> bytes:
        self.bytes_up += len(chunk)
        if self.cut_after_up is not None and self.bytes_up >= self.cut_after_up:
            self.cut_after_up = None
            self.cut()
            return b""
        return chunk


@asynccontextmanager
async def open_proxy(url: str) -> AsyncIterator[Proxy]:
    """Open a proxy on a free loopback port in front of the server that `url` names."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.resume()
        proxy.cut()
        server.close()
        await server.wait_closed()
