"""The proxy that a build's connections pass: where it leads, and where it does not."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from qrt_executor.adapters.environments.egress import Egress, Host

pytestmark = pytest.mark.kipu


@pytest.fixture
async def index() -> AsyncIterator[Host]:
    """A server that answers each request with its own first line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + line)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield "127.0.0.1", server.sockets[0].getsockname()[1]


async def asked(egress: Egress, request: str) -> bytes:
    """Return all that the proxy answers to a request."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with egress.serving(listener):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request.encode())
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


async def test_the_operators_index_is_reached_wherever_it_stands(index: Host) -> None:
    egress = Egress(open_to=frozenset({index}), most_bytes=1 << 20)
    host = f"{index[0]}:{index[1]}"
    plain = await asked(egress, f"GET http://{host}/simple?x=1 HTTP/1.1\r\nProxy-Connection: a\r\n\r\n")
    assert plain.endswith(b"GET /simple?x=1 HTTP/1.1\r\n")
    tunnel = await asked(egress, f"CONNECT {host} HTTP/1.1\r\n\r\nGET /inside HTTP/1.1\r\n\r\n")
    assert tunnel.startswith(b"HTTP/1.1 200")
    assert tunnel.endswith(b"GET /inside HTTP/1.1\r\n")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"])
async def test_nothing_else_of_the_host_is_reached(index: Host, name: str) -> None:
    egress = Egress(open_to=frozenset(), anywhere=True, most_bytes=1 << 20)
    answer = await asked(egress, f"CONNECT {name}:{index[1]} HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403")


async def test_a_build_that_loads_too_much_gets_no_more(index: Host) -> None:
    egress = Egress(open_to=frozenset({index}), most_bytes=1)
    host = f"{index[0]}:{index[1]}"
    first = await asked(egress, f"GET http://{host}/ HTTP/1.1\r\n\r\n")
    assert first
    second = await asked(egress, f"CONNECT {host} HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert second == b"HTTP/1.1 200 Connection established\r\n\r\n"
