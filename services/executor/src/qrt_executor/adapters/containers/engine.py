"""The container engine behind a Unix socket: Docker's, or Podman's, which speaks the same API."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiodocker import Docker
from aiodocker.exceptions import DockerError
from yarl import URL

_CALL = aiohttp.ClientTimeout(total=120, sock_connect=5)
"""What one call may take; those that wait for a program or a build have deadlines of their own."""
_UNENDING = aiohttp.ClientTimeout(total=None, sock_connect=5)
_LINE_BYTES = 4 << 20
GONE = 404
CONFLICT = 409

UNREACHABLE = (aiohttp.ClientError, OSError, TimeoutError)
"""What a call may raise besides DockerError when the engine does not answer."""


class EngineFailed(Exception):
    """The engine refused or could not do something that it should have done."""


class Engine:
    """A connection to the engine, with what aiodocker does not do in bounded memory."""

    def __init__(self, docker: Docker, *, podman: bool) -> None:
        self.docker = docker
        self.podman = podman
        """It is Podman, whose builds take some of their parameters under other names."""

    @property
    def given_up(self) -> bool:
        """Nothing can be asked any more: the engine was silent for too long, and is sought anew."""
        return self.docker.session.closed

    async def info(self) -> Mapping[str, Any]:
        """Return what the engine tells of itself. Raises EngineFailed, or what `UNREACHABLE` holds."""
        found: Mapping[str, Any] = await self.ask("GET", "info")
        return found

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        unending: bool = False,
    ) -> Any:
        """Make a call and return what it answers as JSON, None for no content. Raises DockerError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        async with self.request(
            method, path, params=params, data=data, headers=headers, unending=unending
        ) as response:
            text = (await response.read()).strip()
        return json.loads(text) if text else None

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        unending: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Make a call and give its response, to be read piece by piece. Raises DockerError."""
        if self.given_up:
            raise ConnectionError("the connection to the engine was given up")
        url = URL(f"{self.docker.docker_host}/{self.docker.api_version}/{path}")
        timeout = _UNENDING if unending else _CALL
        async with self.docker.session.request(
            method, url, params=params, data=data, headers=headers, timeout=timeout
        ) as response:
            if response.status >= 400:
                raise DockerError(response.status, await _reason(response))
            yield response

    async def messages(self, response: aiohttp.ClientResponse) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the JSON objects of a progress stream. Raises EngineFailed if it is none."""
        buffer = b""
        async for data in response.content.iter_any():
            *lines, buffer = (buffer + data).split(b"\n")
            if len(buffer) > _LINE_BYTES:
                raise EngineFailed("the engine sent a line without end")
            for line in lines:
                if line.strip():
                    yield json.loads(line)

    async def remove(self, container: str) -> None:
        """Kill and remove a container with its anonymous volumes. One that is gone is no error.

        Raises DockerError.
        """
        for _ in range(20):
            try:
                await self.ask("DELETE", f"containers/{container}", params={"force": "true", "v": "true"})
            except DockerError as exc:
                if exc.status == GONE:
                    return
                if exc.status != CONFLICT:
                    raise
                await asyncio.sleep(0.25)  # its removal is under way
            else:
                return
        raise DockerError(CONFLICT, f"the removal of container {container} does not end")

    async def remove_volume(self, name: str) -> None:
        """Remove a volume. One that is gone is no error. Raises DockerError."""
        await self._delete(f"volumes/{name}", params={"force": "true"})

    async def remove_network(self, name: str) -> None:
        """Remove a network. One that is gone is no error. Raises DockerError."""
        await self._delete(f"networks/{name}")

    async def _delete(self, path: str, *, params: Mapping[str, str] | None = None) -> None:
        try:
            await self.ask("DELETE", path, params=params)
        except DockerError as exc:
            if exc.status != GONE:
                raise


async def _reason(response: aiohttp.ClientResponse) -> str:
    text = (await response.content.read(64 * 1024)).decode("utf-8", "replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text or f"status {response.status}"


@asynccontextmanager
async def open_engine(socket: str) -> AsyncIterator[Engine]:
    """Connect to the engine at a Unix socket's path, and be sure that it answers.

    Raises DockerError, or what `UNREACHABLE` holds.
    """
    connector = aiohttp.UnixConnector(socket, limit=0)  # each attempt keeps three connections open
    async with aiohttp.ClientSession(connector=connector, timeout=_CALL) as session:
        docker = Docker(url="unix://localhost", connector=connector, session=session, timeout=_CALL)
        async with docker:
            async with asyncio.timeout(10):
                told = await docker.version()
            parts = {str(part.get("Name")) for part in told.get("Components") or ()}
            yield Engine(docker, podman="Podman Engine" in parts)
