"""What went wrong in a build, in one sentence, from what uv has said. Pure."""

import re
from collections.abc import Sequence

from qrt_executor.domain.packages import normalised

TAIL_LINES, TAIL_CHARACTERS = 30, 4000
_SENTENCE_CHARACTERS = 600
_REASONS: tuple[tuple[str, str], ...] = (
    (r"[Bb]ecause (\S+) was not found in", "there is no package {0}{from_}"),
    (r"there (?:is|are) no versions? of (\S+?(?:\{[^}]*\})?)(?:,| and)", "there is no version {0}{from_}"),
    (r"only (\S+) is available and you require (\S+?),", "there is no version {1} (only {0}){from_}"),
    (r"Failed to build `?([^`\s]+)`?", "{0} cannot be built from its source{from_}"),
    (
        r"`?([A-Za-z0-9._-]+)`? (?:has|have) no (?:usable )?wheels",
        "{0} has no wheel for this platform{from_}",
    ),
    (r"Hash mismatch for `([^`]+)`", "the index has another file than the lock says for {0}{from_}"),
    (r"Couldn't parse requirement[^\n]*\n\s*cause: ([^\n]+)", "a requirement cannot be read: {0}"),
    (r"Distribution not found at: (\S+)", "there is no package at {0}"),
)
_AWAY = re.compile(
    r"error sending request|Could not connect|[Ff]ailed to fetch|dns error|timed out|tunnel|connection closed"
)
_NOT_THERE = re.compile(r"HTTP status client error \(404|status code 404|404 Not Found")
_SOURCES = re.compile(r"no (?:usable )?wheels|building from source is disabled|no source distribution")
_ADDRESS = re.compile(r"(?:https?|git\+\w+|ssh)://[^\s`'\"<>)\]]+")


def unfinished(log: Sequence[str]) -> str:
    """Return what uv was building when its log ended, as the end of a sentence; empty if nothing."""
    building: dict[str, None] = {}
    for line in log:
        if match := re.match(r"\s*(Building|Built) (\S+)", line):
            if match[1] == "Building":
                building[match[2]] = None
            else:
                building.pop(match[2], None)
    return f" while {', '.join(building)} was built from source" if building else ""


def needs_sources(text: str) -> bool:
    """Tell whether uv has failed because a package comes as a source that has to be built."""
    return _SOURCES.search(text) is not None


def index_is_away(text: str) -> bool:
    """Tell whether uv has failed because the index did not answer: another try may succeed."""
    return _AWAY.search(text) is not None and not _NOT_THERE.search(text)


def sentence(text: str, requirements: Sequence[str]) -> str:
    """Return why uv has failed, naming the requirement at fault where its text tells."""
    if index_is_away(text):
        return "the package index did not answer"
    flat = re.sub(r"[ \t]*\n[ \t]+(?!cause)", " ", text)
    for pattern, reason in _REASONS:
        if match := re.search(pattern, flat):
            groups = [group.strip("`'\".,") for group in match.groups()]
            return reason.format(*groups, from_=_of(groups[0], requirements))[:_SENTENCE_CHARACTERS]
    if match := re.search(r"cause: (Because .*?)(?=\n\s*\n|\nhint|\Z)", flat, re.DOTALL):
        return " ".join(match[1].split())[:_SENTENCE_CHARACTERS]
    errors = re.findall(r"(?:error|cause): ([^\n]+)", flat)
    return " ".join(errors[-1].split())[:_SENTENCE_CHARACTERS] if errors else "uv has failed"


def _of(package: str, requirements: Sequence[str]) -> str:
    """Say which requirement asks for a package, if one does and it is not the same text."""
    name = normalised(re.split(r"[=<>!~ @;\[{]", package)[0])
    for line in requirements:
        if normalised(re.split(r"[=<>!~ @;\[]", line.strip())[0]) == name:
            return "" if line.strip() == package else f" (of the requirement {line.strip()!r})"
    return " (another requirement asks for it)"


def redacted(
    line: str, *, known: Sequence[str] = (), hosts: Sequence[str] = (), folder: str | None = None
) -> str:
    """Return a line of uv's without addresses: those of an index are nobody's business, and may hold keys.

    `known` are texts of the owner's own, whose addresses stay; `hosts` go wherever they stand, and so does
    the executor's `folder`.
    """
    shown = _ADDRESS.sub(lambda found: _kept(found[0], known), line)
    for host in hosts:
        shown = shown.replace(host, "<index>")
    return shown.replace(folder, "<executor>") if folder else shown


def _kept(address: str, known: Sequence[str]) -> str:
    plain = address.rstrip(".,;:")
    if any(plain in text for text in known) and "@" not in plain.split("//")[1].split("/")[0]:
        return address
    return "<address>"


def with_tail(reason: str, log: Sequence[str]) -> str:
    """Return a reason and the end of the log that led to it."""
    tail = "\n".join(log[-TAIL_LINES:])[-TAIL_CHARACTERS:]
    return f"{reason}\n\n{tail}" if tail else reason
