"""The commands `docker` and `docker compose`, told of the tests' own engine and of nothing else."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.docker.daemon import Daemon, NoEngineError

_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


class Docker:
    """Runs commands against one engine."""

    def __init__(self, daemon: Daemon, *, environ: Mapping[str, str], cwd: Path) -> None:
        """`environ` goes to every command, on top of this process's variables; they run in `cwd`."""
        self._cwd = cwd
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DOCKER", "COMPOSE", "QRT_"))
        }
        config = {"PATH": _PATH, "DOCKER_HOST": daemon.url, "DOCKER_CONFIG": str(_plugin())}
        self.environ = {**kept, **config, **environ}

    def run(self, *arguments: str, seconds: float = 60) -> str:
        """Run `docker` with these arguments and return what it printed; AssertionError if it failed."""
        return self.command("docker", *arguments, seconds=seconds)

    def command(self, *command: str, seconds: float = 60) -> str:
        """Run any command that calls `docker`, as `run` does."""
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                cwd=self._cwd,
            )
        except subprocess.TimeoutExpired as exc:
            told = (exc.stderr or b"")[-3000:]
            raise AssertionError(f"{' '.join(command)} took more than {seconds:g} s: {told!r}") from None
        if done.returncode:
            raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}")
        return done.stdout


def _plugin() -> Path:
    """Return the configuration directory with which `docker compose` works. Raises NoEngineError."""
    made = subprocess.run(
        [Path(__file__).with_name("make-plugin")], capture_output=True, text=True, check=False, timeout=300
    )
    if made.returncode:
        raise NoEngineError(made.stderr.strip())
    return Path(made.stdout.strip())
