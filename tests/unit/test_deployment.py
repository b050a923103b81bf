"""compose.yaml and what stands in deploy/ fit the services."""

import importlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from qrt_chassis.settings import ServiceSettings, load

ROOT = Path(__file__).parents[2]
TRIAL = ROOT / "deploy" / "trial-secrets"
SERVICES = ("gateway", "registry", "scheduler", "executor")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """What compose.yaml says."""
    parsed = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(parsed, dict)
    return parsed


def environ(service: Mapping[str, Any]) -> dict[str, str]:
    """Return a service's variables as its process sees them, with the trial's secrets for its own."""
    return {name: value_of(str(value)) for name, value in service["environment"].items()}


def value_of(text: str) -> str:
    """Return a variable with its default in place of what compose is to put there."""
    if text.startswith("${"):
        return text.removesuffix("}").partition(":-")[2]
    return text.replace("/run/secrets", str(TRIAL))


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_takes_the_settings_that_it_is_given(compose: dict[str, Any], name: str) -> None:
    module = importlib.import_module(f"qrt_{name}.settings")
    cls: type[ServiceSettings] = getattr(module, f"{name.capitalize()}Settings")
    given = environ(compose["services"][name])
    if name == "executor":
        given["QRT_EXECUTOR_PROGRAM_PYTHON"] = sys.executable  # its image says where
    settings = load(cls, given, prefix=module.PREFIX)
    assert settings.bus.url.get_secret_value() == "amqp://runtime:runtime@rabbitmq:5672/"
    check = compose["services"][name]["healthcheck"]["test"]
    assert check[-2:] == ["qrt_chassis.ready", str(settings.health.port)]
    assert settings.health.host == "0.0.0.0"


def test_every_container_has_limits_and_is_watched_and_none_waits_for_another(
    compose: dict[str, Any],
) -> None:
    for name, service in compose["services"].items():
        for key in ("mem_limit", "cpus", "pids_limit", "healthcheck", "restart", "networks", "logging"):
            assert key in service, (name, key)
        assert "depends_on" not in service, name


def test_only_the_proxy_is_reached_from_outside(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["proxy"]
    assert compose["services"]["proxy"]["ports"] == ["${QRT_LISTEN:-127.0.0.1:8000}:8080"]
    assert compose["networks"]["inside"] == {"internal": True}
    assert "front" not in compose["services"]["executor"]["networks"]


def test_no_password_stands_in_a_variable(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            assert "://" not in str(value), (name, variable)
    files = {each["file"].partition("}/")[2] for each in compose["secrets"].values()}
    assert files == {path.name for path in TRIAL.iterdir()}


def test_secrets_of_ones_own_are_what_the_trials_are(tmp_path: Path) -> None:
    made = tmp_path / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets", made], check=True, capture_output=True, timeout=30)
    assert {path.name for path in made.iterdir()} == {path.name for path in TRIAL.iterdir()}
    assert (made.stat().st_mode & 0o777, (made / "bus-url").stat().st_mode & 0o777) == (0o700, 0o444)
    password = (made / "rabbitmq-user.conf").read_text().split()[-1]
    assert len(password) == 48
    assert (made / "bus-url").read_text() == f"amqp://runtime:{password}@rabbitmq:5672/\n"
    again = subprocess.run(
        [ROOT / "deploy" / "make-secrets", made], check=False, capture_output=True, timeout=30
    )
    assert again.returncode != 0


def test_the_executors_seccomp_profile_is_up_to_date() -> None:
    command = [sys.executable, "packages/runner/seccomp/container.py", "--check"]
    ended = subprocess.run(command, cwd=ROOT, check=False, timeout=30)
    assert ended.returncode == 0, "run python3 packages/runner/seccomp/container.py"
