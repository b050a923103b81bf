"""A private embedded database server that speaks MongoDB's protocol."""

import asyncio
import socket
import sys
from pathlib import Path

from tests.support.processes import Child, free_port

_START_SECONDS = 60.0


def find_server() -> Path | None:
    """Return the path of the embedded server's command, None if it is not installed."""
    command = Path(sys.executable).parent / "secantusd-py"
    return command if command.exists() else None


class MongoServer:
    """A server that only this test run knows. Its data survives `restart`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._server: Child | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true&retryWrites=false"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._server is not None
        return self._server.pid

    def start(self) -> None:
        """Start the server and block until it takes connections."""
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start its process; call it from the main thread."""
        command = [
            *(str(find_server()), "--host", "127.0.0.1", "--port", str(self.port)),
            *("--storage-path", str(self._directory / "data"), "--standalone", "--sync-on-commit"),
            *("--log-level", "WARNING"),
        ]
        self._server = Child(command, log=self._directory / "server.log")

    def wait_ready(self) -> None:
        """Block until it takes connections."""
        assert self._server is not None
        self._server.wait_ready(self._answers, seconds=_START_SECONDS)

    async def stop(self) -> None:
        """End the server in order; its data stays."""
        assert self._server is not None
        await asyncio.to_thread(self._server.terminate)

    async def kill(self) -> None:
        """End the server as a power cut does; what it has acknowledged stays."""
        assert self._server is not None
        await asyncio.to_thread(self._server.kill)

    async def come_back(self) -> None:
        """Start the server again on its data and wait until it takes connections."""
        self.spawn()
        await asyncio.to_thread(self.wait_ready)

    async def restart(self) -> None:
        """Stop the server and start it again on its data."""
        await self.stop()
        await self.come_back()

    def remove(self) -> None:
        """End its process."""
        if self._server is not None:
            self._server.terminate()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False
