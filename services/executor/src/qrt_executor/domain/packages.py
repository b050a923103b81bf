"""Requirements and locks: how an environment is addressed, and what an operator lets into one. Pure."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TEMPLATE_BASE = ("pydantic>=2",)
"""What the runner needs in an environment of TEMPLATE programs, besides their own requirements."""

TRUSTED = frozenset(
    {
        "annotated-types", "anyio", "certifi", "cffi", "charset-normalizer", "contourpy", "cryptography",
        "cycler", "dill", "dimod", "fonttools", "h11", "httpcore", "httpx", "idna", "joblib", "jsonschema",
        "kiwisolver", "loguru", "matplotlib", "mpmath", "narwhals", "networkx", "numpy", "orjson",
        "packaging", "pandas", "pillow", "pycparser", "pydantic", "pydantic-core", "pyparsing",
        "python-dateutil", "pytz", "pyyaml", "qiskit", "requests", "rustworkx", "scikit-learn", "scipy",
        "six", "sniffio", "stevedore", "symengine", "sympy", "threadpoolctl", "typing-extensions",
        "typing-inspection", "tzdata", "urllib3",
    }
)  # fmt: skip
"""Packages that stand apart in an environment, where no other one can write: its zygote may import them."""

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_LOCKED = re.compile(
    rf"^(?P<name>{_NAME})(?:==(?P<version>[A-Za-z0-9.!+_-]+)| @ (?P<address>\S+))"
    r"(?: ; [^\n]*?)?(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})*)$"
)
_WANTED = re.compile(rf"^\s*(?P<name>{_NAME})\s*(?:\[[^\]]*\])?\s*(?P<rest>(?:(?:[<>=!~;@(]|--hash=).*)?)$")


_OPTIONS = ("--pre", "--prefer-binary")


class NotALock(ValueError):
    """A text that does not pin packages by their hashes."""


class NotAllowed(Exception):
    """The operator does not let this requirement in; the text names it and says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an environment is to hold: requirements, and the lock that once came of them."""

    requirements: tuple[str, ...]
    lock: tuple[str, ...] | None = None

    @property
    def digest(self) -> str:
        """Address of the request: the lock's key where there is one."""
        return lock_key(self.lock) if self.lock is not None else "r" + _digest(self.requirements)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """One line of a lock."""

    line: str
    name: str
    from_index: bool


def lock_key(lock: Sequence[str]) -> str:
    """Return the address of the environment that a lock describes."""
    return _digest(lock)


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def normalised(name: str) -> str:
    """Return a project's name in the one form that all its spellings share."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(text: str) -> tuple[str, ...]:
    """Return the lines of a lock as `uv pip compile` writes it: one for each package, with its hashes.

    Raises:
        NotALock: a line pins nothing, or has no hash.
    """
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    lines = tuple(line.strip() for line in joined.splitlines() if line.strip() and line.strip()[0] != "#")
    pinned(lines)
    return lines


def names_of(lines: Sequence[str]) -> str:
    """Return what a lock's lines pin, without their hashes, to be read. Raises NotALock."""
    names = [each.line.partition(" --hash")[0].partition(" ;")[0] for each in pinned(lines)]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def pinned(lock: Sequence[str]) -> tuple[Pinned, ...]:
    """Return what each line of a lock pins. Raises NotALock."""
    found = []
    for line in lock:
        match = _LOCKED.match(line)
        if match is None:
            raise NotALock(f"{line[:200]!r} pins no package")
        if not match["hashes"]:
            raise NotALock(f"{line[:200]!r} has no hash: name a release, not a repository or a folder")
        name = normalised(match["name"])
        found.append(Pinned(line=line, name=name, from_index=match["version"] is not None))
    return tuple(found)


def split(lock: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines of a lock that may stand apart as trusted ones, and the others."""
    all_of_it = pinned(lock)
    trusted = tuple(each.line for each in all_of_it if each.from_index and each.name in TRUSTED)
    return trusted, tuple(each.line for each in all_of_it if each.line not in trusted)


def check_requirements(requirements: Iterable[str], *, allowed: frozenset[str] | None) -> None:
    """Refuse what the operator does not let in, before anything is looked up.

    `allowed` holds normalised names, None lets in every one. Where packages come from is never a
    requirement's to say.

    Raises:
        NotAllowed: the first such requirement.
    """
    for line in requirements:
        if line.startswith("-"):
            if line not in _OPTIONS:
                option = line.split("=")[0].split()[0]
                raise NotAllowed(f"the option {option!r} cannot be used in requirements here")
            continue
        match = _WANTED.match(line)
        if match is None:
            raise NotAllowed(f"{line[:200]!r} names no package")
        if match["rest"].startswith("@"):
            raise NotAllowed(f"{line[:200]!r}: packages come from the operator's index alone")
        if allowed is not None and normalised(match["name"]) not in allowed:
            raise NotAllowed(f"{match['name']} is not among the packages that the operator allows")


def check_lock(lock: Sequence[str], *, allowed: frozenset[str] | None) -> None:
    """Refuse what has come in with the requirements. Raises NotAllowed, NotALock."""
    for each in pinned(lock):
        if allowed is not None and each.name not in allowed:
            raise NotAllowed(
                f"{each.name}, which the requirements bring with them, is not among the packages that the "
                "operator allows"
            )
