"""A private RabbitMQ node: own name, own ports, own directory, own port mapper."""

import asyncio
import os
import shutil
import socket
import subprocess
from pathlib import Path

from tests.support.processes import Child, free_port

_SERVER_PATHS = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin", "/usr/sbin")
_START_SECONDS = 60.0
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


def find_server() -> str | None:
    """Return the path of the server's own start script, None if it is not installed.

    The packaged wrapper in /usr/sbin changes user and uses the system's directories, so what it
    wraps comes first.
    """
    return shutil.which("rabbitmq-server", path=os.pathsep.join([*_SERVER_PATHS, os.environ.get("PATH", "")]))


class RabbitNode:
    """A broker that only this test run knows. Its data survives `restart`, not `remove`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self._mapper_port = free_port()
        self._distribution_port = free_port()
        self._mapper: Child | None = None
        self._server: Child | None = None
        self._configure()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """The process id of the node."""
        assert self._server is not None
        return self._server.pid

    @property
    def mapper_pid(self) -> int:
        """The process id of its port mapper."""
        assert self._mapper is not None
        return self._mapper.pid

    def start(self) -> None:
        """Start the node and block until it takes connections."""
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start the node's processes; call it from the main thread."""
        if self._mapper is None or not self._mapper.running:
            epmd = ["epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"]
            self._mapper = Child(epmd, log=self._directory / "epmd.log")
        command = find_server()
        assert command is not None, "rabbitmq-server is not installed"
        self._server = Child([command], log=self._directory / "server.log", env=self._environment())

    def wait_ready(self) -> None:
        """Block until the node takes connections."""
        assert self._server is not None
        self._server.wait_ready(self._answers, seconds=_START_SECONDS)

    async def stop(self) -> None:
        """End the node in order; its data stays."""
        assert self._server is not None
        await asyncio.to_thread(self._server.terminate)

    async def kill(self) -> None:
        """End the node as a power cut does; its data stays."""
        assert self._server is not None
        await asyncio.to_thread(self._server.kill)

    async def come_back(self) -> None:
        """Start the node again on its data and wait until it takes connections."""
        self.spawn()
        await asyncio.to_thread(self.wait_ready)

    async def restart(self) -> None:
        """Stop the node and start it again on its data."""
        await self.stop()
        await self.come_back()

    def control(self, *arguments: str) -> str:
        """Ask the node something with `rabbitmqctl`; return what it prints."""
        command = find_server()
        assert command is not None, "rabbitmq-server is not installed"
        program = str(Path(command).with_name("rabbitmqctl"))
        ended = subprocess.run(
            [program, "--quiet", *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, f"rabbitmqctl {' '.join(arguments)}: {ended.stderr}{ended.stdout}"
        return ended.stdout

    def add_vhost(self, name: str) -> str:
        """Make a virtual host, where nobody hears what others say at the node; return its address."""
        # One call of the command instead of two: most of what it takes is its own start.
        self.control(
            "eval",
            f'ok = rabbit_vhost:add(<<"{name}">>, <<"tests">>), '
            f'ok = rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, '
            '<<".*">>, <<".*">>, <<".*">>, <<"tests">>).',
        )
        return f"{self.url}{name}"

    def remove(self) -> None:
        """End all its processes."""
        for child in (self._server, self._mapper):
            if child is not None:
                child.terminate()

    def _configure(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "enabled_plugins").write_text("[].\n")
        (self._directory / "rabbitmq-env.conf").write_text("")
        (self._directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.port}\n"
            "disk_free_limit.absolute = 10MB\n"
            "log.file.level = warning\n"
            "log.console = false\n"
            "raft.wal_max_size_bytes = 16000000\n"
        )

    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": str(self._directory),
            "RABBITMQ_NODENAME": f"qrt-test-{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self._directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._directory / "log"),
            "RABBITMQ_CONFIG_FILE": str(self._directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self._directory / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._directory / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Idle schedulers sleep instead of spinning: the tests need the cores.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, **own}

    def _answers(self) -> bool:
        """Tell whether the broker greets a client."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.settimeout(5)
                client.sendall(_PROTOCOL_HEADER)
                return client.recv(1) == b"\x01"
        except OSError:
            return False
