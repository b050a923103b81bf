"""docs/errors.md lists every code there is, with its status."""

import re
from pathlib import Path

from qrt_contracts.endings import Ending
from qrt_gateway.handlers.problems import MALFORMED, STATUS

PAGE = (Path(__file__).parents[3] / "docs" / "errors.md").read_text()


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| `(\w+)` \|(.*)\|$", section, re.MULTILINE)
    return [[code, *(cell.strip() for cell in rest.split("|"))] for code, rest in lines]


def test_every_code_of_a_request_is_listed_with_its_status() -> None:
    listed = [(code, int(status)) for code, status, *_ in rows("Requests")]
    assert sorted(listed) == sorted([*STATUS.items(), ("InvalidRequest", MALFORMED)])


def test_every_ending_of_a_job_is_listed() -> None:
    assert [row[0] for row in rows("Jobs")] == [each.value for each in Ending]


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    assert all(all(row) and len(row) == 4 for row in rows("Requests"))
    assert all(all(row) and len(row) == 3 for row in rows("Jobs"))
