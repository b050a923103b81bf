"""The alarms ask about metrics that there are, and say what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.unit.test_metrics import PACKAGES, metrics_of

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_every_alarm_asks_about_metrics_that_there_are_with_labels_that_they_have() -> None:
    there = {each._name: each for package in PACKAGES for each in metrics_of(package)}
    for alert in alerts():
        asked = re.findall(r"(qrt_\w+)(?:\{(.*?)\})?", alert["expr"])
        assert asked, alert["alert"]
        for name, filters in asked:
            found = there.get(re.sub(r"_(total|bucket|count|sum)$", "", name))
            assert found is not None, f"{alert['alert']}: {name}"
            assert set(re.findall(r"(\w+)[=!]", filters)) <= set(found._labelnames), alert["alert"]


def test_every_alarm_says_how_bad_it_is_what_to_do_and_is_explained() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    names = [each["alert"] for each in alerts()]
    assert len(names) == len(set(names)) > 15
    for each in alerts():
        assert each["labels"]["severity"] in ("page", "ticket")
        assert set(each["annotations"]) == {"summary", "action"}
        assert f"`{each['alert']}`" in page
    assert set(re.findall(r"`(Runtime[A-Z]\w+)`", page)) == set(names)


if PROMTOOL := shutil.which("promtool"):  # one more where it is; the others hold without it

    def test_prometheus_takes_the_alarms() -> None:
        command = [str(PROMTOOL), "check", "rules", str(RULES)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert ended.returncode == 0, ended.stderr
        assert f"{len(alerts())} rules found" in ended.stdout
