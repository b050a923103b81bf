"""The packages a project asks for, from `requirements.txt` or `pyproject.toml`, in one form and order."""

import re
import tomllib
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from qrt_registry.adapters.projects.archive import Files
from qrt_registry.adapters.projects.unfit import Unfit

LINES = "requirements.txt"
PYPROJECT = "pyproject.toml"
MAX_FILE_BYTES = 256 << 10
MAX_LINE_CHARACTERS = 2_000
MAX_REQUIREMENTS = 500
PRE_RELEASES = "--pre"
"""The one option that says what is wanted and not where from."""
_HARMLESS = frozenset({"--prefer-binary", "--no-cache-dir", "--disable-pip-version-check"})
"""Options that change nothing of what is installed."""
_PACKAGES_ONLY = "a requirement is a URL or a path; name a package, and put your own code into the project"
_HASH = re.compile(r"\s--hash[= ]([a-z0-9]+:[0-9a-fA-F]+)(?=\s|$)")
_COMMENT = re.compile(r"(^|\s)#.*$")
_LOCATION = re.compile(r"^([a-z+]+://|\.|/|~|[A-Za-z]:\\)|\.(whl|zip|tar\.gz)$|@\s*[a-z+]+:")


def requirements_of(files: Files) -> list[str]:
    """Return the requirement lines of a project, normalised and sorted; `requirements.txt` goes first.

    Raises:
        Unfit: a line is no requirement, or one that says where from and not what.
    """
    if LINES in files:
        return _sorted(_from_lines(_text(files[LINES].data, LINES)))
    if PYPROJECT in files:
        return _sorted(_from_pyproject(_text(files[PYPROJECT].data, PYPROJECT)))
    return []


def _sorted(lines: Iterable[str]) -> list[str]:
    found = sorted(set(lines))
    if len(found) > MAX_REQUIREMENTS:
        raise Unfit(f"the project asks for more than {MAX_REQUIREMENTS} packages")
    return found


def _text(data: bytes, file: str) -> str:
    if len(data) > MAX_FILE_BYTES:
        raise Unfit(f"it has more than {MAX_FILE_BYTES} bytes", file=file)
    # What PowerShell writes by `pip freeze > requirements.txt`.
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise Unfit("it is not UTF-8", file=file) from None


def _from_lines(text: str) -> Iterable[str]:
    for number, line in _logical(text):
        if line and line.split()[0] not in _HARMLESS:
            yield _requirement(line, file=LINES, number=number)


def _logical(text: str) -> Iterable[tuple[int, str]]:
    """Yield each line with its number, comments gone, continued ones joined."""
    begun, held = 0, ""
    for number, raw in enumerate(text.splitlines(), start=1):
        begun = begun or number
        if raw.endswith("\\") and not _COMMENT.search(raw):
            held += raw[:-1] + " "
            continue
        yield begun, _COMMENT.sub("", held + raw).strip()
        begun, held = 0, ""
    if held:
        yield begun, _COMMENT.sub("", held).strip()


def _from_pyproject(text: str) -> Iterable[str]:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unfit(f"it is no TOML: {error}", file=PYPROJECT) from None
    project = document.get("project", {})
    if not isinstance(project, dict):
        raise Unfit("[project] is no table", file=PYPROJECT)
    wanted = project.get("dependencies", [])
    if not isinstance(wanted, list) or not all(isinstance(each, str) for each in wanted):
        raise Unfit("[project].dependencies is no list of texts", file=PYPROJECT)
    tool = document.get("tool")
    if "dependencies" not in project and isinstance(tool, dict) and _is_poetrys(tool.get("poetry")):
        raise Unfit(
            "its dependencies are Poetry's own; list them in [project].dependencies or requirements.txt",
            file=PYPROJECT,
        )
    return [_requirement(each.strip(), file=PYPROJECT, number=0) for each in wanted]


def _is_poetrys(table: object) -> bool:
    wanted = table.get("dependencies") if isinstance(table, dict) else None
    return isinstance(wanted, dict) and bool(wanted.keys() - {"python"})


def _requirement(line: str, *, file: str, number: int) -> str:
    """Return a requirement in its one form: names and specifiers as the standards write them."""

    def unfit(reason: str) -> Unfit:
        return Unfit(reason, file=file, line=number, text=line[:200])

    if len(line) > MAX_LINE_CHARACTERS and "--hash" not in line:
        raise unfit(f"a requirement has more than {MAX_LINE_CHARACTERS} characters")
    hashes = sorted(set(_HASH.findall(line)))
    plain = _HASH.sub("", line).strip()
    if plain == PRE_RELEASES:
        return plain
    if plain.startswith("-"):
        option = re.split(r"[\s=]", plain)[0]
        raise unfit(f"the option {option} is not taken: where packages come from is the operator's choice")
    if _LOCATION.search(plain):
        raise unfit(_PACKAGES_ONLY)
    try:
        found = Requirement(plain)
    except (InvalidRequirement, RecursionError) as error:
        raise unfit(f"it is no requirement: {str(error).splitlines()[0]}") from None
    if found.url:
        raise unfit(_PACKAGES_ONLY)
    extras = f"[{','.join(sorted(map(canonicalize_name, found.extras)))}]" if found.extras else ""
    marker = f"; {found.marker}" if found.marker else ""
    proven = "".join(f" --hash={each}" for each in hashes)
    return f"{canonicalize_name(found.name)}{extras}{found.specifier}{marker}{proven}"
