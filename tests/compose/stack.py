"""The installation that compose.yaml describes, in a copy of what it is made of."""

import json
import random
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.compose.docker import Docker
from tests.compose.images import ROOT
from tests.docker.daemon import Daemon
from tests.support.processes import free_port

MADE_OF = (
    *("compose.yaml", "deploy", "packages", "services", "constraints.txt", "requirements-programs.in"),
    *(".dockerignore", "tests/compose/override.yaml"),
)
REPLICAS = {
    "rabbitmq": 1,
    "mongo": 1,
    "proxy": 1,
    "gateway": 2,
    "registry": 2,
    "scheduler": 2,
    "executor": 4,
}
ADMIN_TOKEN, NOTEBOOK_TOKEN = "administrators-token", "testapitoken"
BUILD_SECONDS = 1500.0
HEALTHY_SECONDS = 300.0


@dataclass
class Stack:
    """What `docker compose` is told, and what it tells."""

    docker: Docker
    project: Path
    url: str
    password: str
    """The broker's."""
    order: list[str] = field(default_factory=list)
    """Services as they were started."""

    def build(self, *services: str) -> None:
        """Make the images of these services, all of them if none is named."""
        self.compose("build", "--quiet", *services, seconds=BUILD_SECONDS)

    def start(self, *, seed: int) -> None:
        """Start every service with its replicas, one after the other in an order that `seed` gives."""
        self.order = sorted(REPLICAS)
        random.Random(seed).shuffle(self.order)
        for name in self.order:
            scale = f"{name}={REPLICAS[name]}"
            self.compose("up", "--detach", "--no-deps", "--no-build", "--scale", scale, name, seconds=180)

    def up(self) -> None:
        """Start everything as a user does."""
        scales = [word for name, count in REPLICAS.items() for word in ("--scale", f"{name}={count}")]
        self.compose("up", "--detach", "--no-build", *scales, seconds=300)

    def down(self) -> None:
        """End every container and network; volumes stay."""
        self.compose("down", seconds=300)

    def wait_healthy(self) -> None:
        """Block until every replica is healthy. Raises AssertionError with what is not."""
        deadline = time.monotonic() + HEALTHY_SECONDS
        while lacking := self._lacking():
            if time.monotonic() > deadline:
                raise AssertionError(f"started as {self.order}, not healthy: {lacking}\n{self.logs()}")
            time.sleep(1)

    def _lacking(self) -> list[str]:
        containers = self.containers()
        healthy = [each["Service"] for each in containers if each["Health"] == "healthy"]
        counts = {name: healthy.count(name) for name in REPLICAS}
        return [
            f"{name}: {counts[name]} of {count}" for name, count in REPLICAS.items() if counts[name] != count
        ]

    def containers(self, service: str | None = None) -> list[dict[str, Any]]:
        """Return what is said of each container there is, of one service or of all."""
        named = [] if service is None else [service]
        listed = self.compose("ps", "--all", "--format", "json", *named)
        return [json.loads(line) for line in listed.splitlines() if line]

    def roll(self, service: str) -> None:
        """Replace every container of a service as docs/operations.md says."""
        self.docker.command("deploy/roll", service, seconds=900)

    def change(self, package: str) -> None:
        """Change a service's source: `package`, such as `qrt_gateway`, has an attribute CHANGED then."""
        service = package.removeprefix("qrt_")
        source = self.project / "services" / service / "src" / package / "__init__.py"
        source.write_text(source.read_text() + "\nCHANGED = True\n")

    def inside(self, container: str, *command: str) -> str:
        """Run a command in a container and return what it printed."""
        return self.docker.run("exec", container, *command)

    def logs(self) -> str:
        """Return the last lines of every container."""
        return self.compose("logs", "--tail", "15", "--no-color")

    def compose(self, *arguments: str, seconds: float = 60) -> str:
        """Run `docker compose` with these arguments and return what it printed."""
        return self.docker.run("compose", *arguments, seconds=seconds)


def make_stack(daemon: Daemon, scratch: Path) -> Stack:
    """Copy what an installation is made of to a directory, give it secrets of its own and a free port."""
    project = scratch / "project"
    for name in MADE_OF:
        _copy(ROOT / name, project / name)
    port = free_port()
    environ = {
        "COMPOSE_FILE": "compose.yaml:tests/compose/override.yaml",
        "COMPOSE_PROJECT_NAME": "qrt-test",
        "QRT_TEST_BRIDGE": daemon.bridge,
        "QRT_LISTEN": f"127.0.0.1:{port}",
        "QRT_SECRETS": "./secrets",
    }
    return Stack(
        Docker(daemon, environ=environ, cwd=project), project, f"http://127.0.0.1:{port}", _secrets(project)
    )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        shutil.copy(source, target)


def _secrets(project: Path) -> str:
    """Make secrets as an operator does, with tokens that the tests know; return the broker's password."""
    made = project / "secrets"
    subprocess.run([project / "deploy" / "make-secrets", made], check=True, capture_output=True, timeout=30)
    tokens = f"admin={ADMIN_TOKEN},notebook={NOTEBOOK_TOKEN}\n"
    # What stands in for MongoDB is no replica set.
    mongo = "mongodb://mongo:27017/?directConnection=true&retryWrites=false\n"
    for name, text in (("bootstrap-tokens", tokens), ("mongo-url", mongo)):
        (made / name).unlink()
        (made / name).write_text(text)
        (made / name).chmod(0o444)
    return (made / "rabbitmq-user.conf").read_text().split()[-1]
