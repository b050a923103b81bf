"""The images that compose.yaml names, made here by debootstrap and pip, without any registry."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.compose.docker import Docker
from tests.docker.daemon import NoEngineError

ROOT = Path(__file__).parents[2]
_HERE = Path(__file__).with_name("images")
_MAKE_BASE = ROOT / "tests" / "docker" / "make-base"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_KEYS = ("index-url", "extra-index-url", "proxy", "trusted-host")

BASES = {
    "qrt-test/python-base:1": ("python3", "python3-venv", "python3-pip", "ca-certificates"),
    "qrt-test/rabbitmq-base:1": ("rabbitmq-server",),
    "haproxy:2.6": ("haproxy",),
}
"""Images by the packages that debootstrap puts on the smallest Debian."""


def make(docker: Docker, scratch: Path) -> None:
    """Make what compose.yaml names: python:3.11-slim, rabbitmq:3.13, mongo:7 and haproxy:2.6.

    `scratch` is a directory for what the images are made of. Raises NoEngineError where a base cannot be
    made, and AssertionError where an image cannot.
    """
    for name, packages in BASES.items():
        docker.run("import", str(_base(packages)), name, seconds=120)
    docker.run("build", "--tag", "python:3.11-slim", str(_python(scratch / "python")), seconds=120)
    docker.run("build", "--tag", "rabbitmq:3.13", str(_HERE / "rabbitmq"), seconds=120)
    docker.run("build", "--network", "host", "--tag", "mongo:7", str(_mongo(scratch / "mongo")), seconds=300)


def _base(packages: tuple[str, ...]) -> Path:
    done = subprocess.run(
        [_MAKE_BASE, *packages],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise NoEngineError(done.stderr.strip())
    return Path(done.stdout.strip())


def _python(context: Path) -> Path:
    """Return a build context that tells pip in the image what pip is told here."""
    shutil.copytree(_HERE / "python", context)
    (context / "pip.conf").write_text(_pip_conf())
    certificates = _CERTIFICATES.read_bytes() if _CERTIFICATES.exists() else b""
    (context / "ca-certificates.crt").write_bytes(certificates)
    return context


def _mongo(context: Path) -> Path:
    shutil.copytree(_HERE / "mongo", context)
    shutil.copy(ROOT / "constraints.txt", context)
    return context


def _pip_conf() -> str:
    """Return this machine's settings of pip that mean something elsewhere: no paths of its disk."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = ["[global]", "timeout = 180", "retries = 5"]
    if _CERTIFICATES.exists():
        lines.append(f"cert = {_CERTIFICATES}")
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        words = [word for word in value.strip("'\"").split() if not word.startswith(("file:", "/"))]
        if name in _PIP_KEYS and words:
            lines.append(f"{name} = {' '.join(words)}")
    return "\n".join(lines) + "\n"
