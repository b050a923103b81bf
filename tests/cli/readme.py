"""The README's tour as what somebody would do who follows it: commands, and what they are to show."""

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One command, and the lines that it shows among others, in this order; `…` stands for anything."""

    command: str
    shown: tuple[str, ...]

    def missing(self, output: str) -> str | None:
        """Return the first line that was not shown, None if all were."""
        lines = iter(output.splitlines())
        for wanted in self.shown:
            pattern = re.compile(".*".join(map(_words, wanted.split("…"))))
            if not any(pattern.search(line) for line in lines):
                return wanted
        return None


def _words(text: str) -> str:
    return r"\s+".join(map(re.escape, re.split(r"\s+", text)))


def tour() -> list[Step]:
    """Return the tour's steps; a program in Python is one too."""
    text = README.read_text()
    text = text[text.index("## A tour") :]
    found: list[Step] = []
    for kind, block in _BLOCK.findall(text[: text.index("\n## ", 4)]):
        found += [Step(f"python - <<'END'\n{block}END", ())] if kind == "python" else _steps(block)
    return found


def _steps(block: str) -> list[Step]:
    found: list[Step] = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        ends = next(place for place, line in enumerate(lines) if not line.endswith("\\"))
        found.append(Step("\n".join(lines[: ends + 1]), tuple(lines[ends + 1 :])))
    return found
