"""The page for operators says what the settings classes say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tables_of_settings_are_up_to_date() -> None:
    ended = subprocess.run([sys.executable, "scripts/settings-table", "--check"], cwd=ROOT, check=False)
    assert ended.returncode == 0, "run .venv/bin/python scripts/settings-table"
