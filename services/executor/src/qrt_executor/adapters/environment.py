"""A program environment: the Python that programs run in, and what of the host it needs."""

import importlib.util
import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

_PROBE = (
    "import json, sys, sysconfig;"
    "about = [sys.implementation.cache_tag, *map(str, sys.version_info[:3]), sysconfig.get_platform()];"
    "tag = '-'.join(about);"
    "print(json.dumps([tag, sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *sys.path]))"
)

THREADS = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    ),
    "1",
)
"""A zygote with more than one thread cannot be forked safely."""


class EnvironmentUnusable(Exception):
    """The configured Python of programs cannot be run."""


@dataclass(frozen=True, slots=True)
class ProgramEnvironment:
    """The interpreter of programs, the runner, and the directories both live in."""

    python: Path
    runner: Path
    """The package directory that holds `zygote.py`."""
    roots: tuple[Path, ...]
    """Directories that must be readable for the interpreter to work, none inside another."""
    tag: str = ""
    """Names the interpreter: what was installed for one with another tag is not for this one."""
    packages: Path | None = None
    """Where programs have packages of their own, in place of the interpreter's."""

    @property
    def interpreter(self) -> tuple[str, ...]:
        """The command of a zygote's Python; it sees packages only where they are the operator's."""
        return (str(self.python), "-I", *(("-S",) if self.packages else ()), "-X", "utf8")

    @property
    def arguments(self) -> tuple[str, ...]:
        """What a zygote is told of it."""
        return ("--packages", str(self.packages)) if self.packages else ()

    def with_packages(self, directory: Path) -> "ProgramEnvironment":
        """Return the same interpreter with an installed environment."""
        return replace(self, packages=directory, roots=_outermost({*self.roots, directory}))


def probe(python: Path) -> ProgramEnvironment:
    """Ask an environment's interpreter what it needs. Raises EnvironmentUnusable."""
    try:
        asked = subprocess.run(  # noqa: S603 - the operator's own setting
            [python, "-I", "-c", _PROBE],
            capture_output=True,
            check=True,
            timeout=30,
            env={"PATH": os.defpath},
        )
        tag, *found = json.loads(asked.stdout)
        paths = [Path(path) for path in found]
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        raise EnvironmentUnusable(f"the Python of programs, {python}, cannot be run: {exc}") from exc
    runner = _runner()
    wanted = {path for path in (*paths, runner, python.resolve().parent) if path.is_dir()}
    return ProgramEnvironment(python=python, runner=runner, roots=_outermost(wanted), tag=tag)


def scrubbed_environ(home: Path) -> dict[str, str]:
    """Return all the environment variables a program sees; nothing of the service's."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home),
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(home),
        **THREADS,
    }


def _runner() -> Path:
    spec = importlib.util.find_spec("qrt_runner")  # found, never imported
    if spec is None or spec.origin is None:
        raise EnvironmentUnusable("the distribution qrt-runner is not installed beside the executor")
    return Path(spec.origin).parent


def _outermost(directories: set[Path]) -> tuple[Path, ...]:
    kept: list[Path] = []
    for directory in sorted(directories):
        if not any(directory.is_relative_to(other) for other in kept):
            kept.append(directory)
    return tuple(kept)
