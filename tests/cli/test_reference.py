"""The page about the command says what the command says."""

import subprocess
import sys
from pathlib import Path

import pytest

from quafu_runtime_cli.endings import CODES

pytestmark = pytest.mark.cli

ROOT = Path(__file__).parents[2]


def test_the_reference_is_up_to_date() -> None:
    ended = subprocess.run([sys.executable, "scripts/cli-reference", "--check"], cwd=ROOT, check=False)
    assert ended.returncode == 0, "run .venv/bin/python scripts/cli-reference"


def test_the_page_has_every_exit_code() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    for code, meaning in CODES.items():
        assert f"| {code} | {meaning.replace('|', chr(92) + '|')} |" in page
