"""A receiver of webhooks: an HTTP server on loopback that keeps what it gets."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Got:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiving:
    """What was got so far, and where."""

    port: int
    got: list[Got] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://127.0.0.1:{self.port}/hook?x=1"


ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


@asynccontextmanager
async def receiving(
    answer: Callable[[int], bytes] = lambda _: ANSWER, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiving]:
    """Receive inside the context; `answer` is asked with the number of the request, from 0."""
    whole = Receiving(0)
    connections: set[asyncio.StreamWriter] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(each.lower().split(": ", 1) for each in head[1:] if each)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            whole.got.append(Got(head[0], dict(each.split(": ", 1) for each in head[1:] if each), body))
            writer.write(answer(len(whole.got) - 1))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    whole.port = server.sockets[0].getsockname()[1]
    try:
        yield whole
    finally:
        server.close()
        for each in connections:
            each.close()
