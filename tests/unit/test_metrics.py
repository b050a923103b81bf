"""Metrics: every one is documented, on the dashboard, and named by what it counts or measures."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

ROOT = Path(__file__).parents[2]
PACKAGES = ("qrt_chassis", "qrt_gateway", "qrt_registry", "qrt_scheduler", "qrt_executor")
COUNTED = (
    *("jobs", "attempts", "executors", "builds", "deliveries", "listeners", "topics", "jails", "slots"),
    *("environments", "connections", "subscriptions", "services"),
)
"""What gauges count."""


def metrics_of(package: str) -> list[MetricWrapperBase]:
    found = vars(importlib.import_module(f"{package}.metrics")).values()
    return [each for each in found if isinstance(each, MetricWrapperBase)]


@pytest.mark.parametrize("package", PACKAGES)
def test_each_metric_is_served_and_named_by_its_unit(package: str) -> None:
    metrics = metrics_of(package)
    assert metrics
    registry = CollectorRegistry()
    for each in metrics:
        registry.register(each)
        assert each._documentation
        if isinstance(each, Histogram):
            assert each._name.endswith(("_seconds", "_bytes")), each._name
        elif isinstance(each, Gauge):
            assert each._name.endswith((*COUNTED, "_seconds", "_bytes")), each._name
        else:
            assert isinstance(each, Counter), each._name
    served = generate_latest(registry).decode()
    for each in metrics:
        name = f"{each._name}_total" if isinstance(each, Counter) else each._name
        assert f"# TYPE {name} " in served


def test_the_table_and_the_dashboard_are_up_to_date() -> None:
    ended = subprocess.run([sys.executable, "scripts/metrics", "--check"], cwd=ROOT, check=False)
    assert ended.returncode == 0, "run .venv/bin/python scripts/metrics"


def test_the_dashboard_asks_for_every_metric_and_for_no_other() -> None:
    whole = json.loads((ROOT / "deploy" / "grafana" / "runtime.json").read_text())
    asked = " ".join(target["expr"] for each in whole["panels"] for target in each.get("targets", ()))
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"qrt_\w+", asked)}
    there = {
        f"{each._name}_total" if isinstance(each, Counter) else each._name
        for package in PACKAGES
        for each in metrics_of(package)
    }
    assert names == there
    places = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in whole["panels"]]
    assert len(set(places)) == len(places)
