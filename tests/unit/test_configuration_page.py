"""The reference of configuration says what the settings classes say: a default, a unit, a meaning each."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import Field

from qrt_chassis.settings import Settings, unit

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "configuration.md"
ROW = re.compile(r"^\| `(QRT_\w+)` \| (.+?) \| (.+?) \| (.+?) \| (.*) \|$", re.MULTILINE)


def test_the_tables_of_settings_are_up_to_date() -> None:
    ended = subprocess.run([sys.executable, "scripts/settings-table", "--check"], cwd=ROOT, check=False)
    assert ended.returncode == 0, "run .venv/bin/python scripts/settings-table"


@pytest.mark.parametrize("service", ["gateway", "registry", "scheduler", "executor"])
def test_every_variable_has_a_default_a_unit_and_a_meaning(service: str) -> None:
    prefix = importlib.import_module(f"qrt_{service}.settings").PREFIX
    rows = [row for row in ROW.findall(PAGE.read_text()) if row[0].startswith(prefix)]
    assert len(rows) > 12
    for name, default, counted, takes, meaning in rows:
        assert default, name
        assert (counted == "none") == ("number" not in takes), name
        assert meaning.endswith("."), name


class _Numbers(Settings):
    wait_seconds: float = 1.0
    name: str = "n"
    several: int | None = Field(default=None)


def test_a_number_says_its_unit_or_is_refused() -> None:
    fields = _Numbers.model_fields
    assert unit("wait_seconds", fields["wait_seconds"]) == "seconds"
    assert unit("name", fields["name"]) is None
    with pytest.raises(LookupError, match="several has no unit"):
        unit("several", fields["several"])
