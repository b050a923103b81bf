"""A private container engine for tests: its own socket, data and bridge, all gone afterwards."""

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

from tests.docker.leftovers import bridge_of, clear, make_home
from tests.support.processes import Child

_START_SECONDS = 30.0
_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"

_RUNTIME = Path(__file__).with_name("runc-within-limits")


class NoEngineError(Exception):
    """No engine can be started here; the text says why."""


class NotInstalledError(NoEngineError):
    """An engine could be started here if a package were installed."""

    def __init__(self, what: str, package: str) -> None:
        super().__init__(f"{what} is not installed; on Debian or Ubuntu: sudo apt-get install {package}")


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise NotInstalledError(name, package)
    return found


class Daemon:
    """A running engine, `docker` or `podman`. Raises NoEngineError where none can be."""

    def __init__(self, kind: str) -> None:
        if os.geteuid() != 0:
            raise NoEngineError("only root can start a container engine of its own")
        self.kind = kind
        command = {"docker": self._dockerd, "podman": self._podman}[kind]
        self._ip = _program("ip", "iproute2")
        self.home = make_home()
        self.socket = self.home / "engine.sock"
        self.log = self.home / "log"
        self._trusted = self.home / "registries.conf"
        self._bridge = bridge_of(os.getpid())
        third = 16 + os.getpid() % 200
        self.host = f"10.213.{third}.1"
        """The host, as containers with a network see it."""
        self._child: Child | None = None
        try:
            self._make_bridge()
            self._start(command())
        except BaseException:
            self.remove()
            raise

    @property
    def url(self) -> str:
        """What `QRT_EXECUTOR_ENGINE` is set to."""
        return f"unix://{self.socket}"

    @property
    def bridge(self) -> str:
        """Its bridge; networks named after it, with a dash between, go with it."""
        return self._bridge

    def _make_bridge(self) -> None:
        for arguments in (
            ("link", "add", self._bridge, "type", "bridge"),
            ("addr", "add", f"{self.host}/24", "dev", self._bridge),
            ("link", "set", self._bridge, "up"),
        ):
            done = subprocess.run([self._ip, *arguments], capture_output=True, text=True, check=False)
            if done.returncode:
                raise NoEngineError(f"no bridge can be made: {done.stderr.strip()}")

    def _dockerd(self) -> list[str]:
        return [
            *(_program("dockerd", "docker.io"), "--host", self.url, "--data-root", str(self.home / "data")),
            *("--exec-root", str(self.home / "exec"), "--pidfile", str(self.home / "pid")),
            *("--bridge", self._bridge, "--iptables=false", "--ip6tables=false"),
            *("--ip-forward=false", "--ip-masq=false", "--shutdown-timeout", "1"),
        ]

    def _podman(self) -> list[str]:
        self._trusted.write_text('[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n')
        return [
            *(_program("podman", "podman"), "--root", str(self.home / "data")),
            *("--runroot", str(self.home / "run"), "--tmpdir", str(self.home / "tmp")),
            *("--network-config-dir", str(self.home / "networks"), "--runtime", str(_RUNTIME)),
            *("--cgroup-manager", "cgroupfs", "system", "service", "--time", "0", self.url),
        ]

    def _start(self, command: list[str]) -> None:
        environ = {"PATH": _PATH, "CONTAINERS_REGISTRIES_CONF": str(self._trusted)}
        self._child = Child(command, log=self.log, env=dict(os.environ) | environ)
        try:
            self._child.wait_ready(self.answers, seconds=_START_SECONDS)
        except AssertionError as exc:
            raise NoEngineError(f"{self.kind} does not run here: {exc}") from exc

    def answers(self) -> bool:
        """Whether it answers a ping."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(self.socket))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return connection.recv(64).split(b" ", 2)[1] == b"200"
        return False

    def remove(self) -> None:
        """Stop it and remove all it had."""
        if self._child is not None:
            self._child.terminate(seconds=20)
        clear(self.home, bridge=self._bridge)
