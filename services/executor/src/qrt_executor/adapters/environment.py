"""A program environment: the Python that programs run in, and what of the host it needs."""

import importlib.util
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PROBE = (
    "import json, sys, sysconfig;"
    "print(json.dumps([sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *sys.path]))"
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
        paths = [Path(path) for path in json.loads(asked.stdout)]
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        raise EnvironmentUnusable(f"the Python of programs, {python}, cannot be run: {exc}") from exc
    runner = _runner()
    wanted = {path for path in (*paths, runner, python.resolve().parent) if path.is_dir()}
    return ProgramEnvironment(python=python, runner=runner, roots=_outermost(wanted))


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
