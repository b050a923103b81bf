"""The manifests in deploy/kubernetes fit Kubernetes, one another and the services. No cluster takes part."""

import importlib
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from qrt_chassis.settings import ServiceSettings, load
from tests.unit.test_metrics import PACKAGES, metrics_of

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deploy" / "kubernetes"
SERVICES = ("gateway", "registry", "scheduler", "executor")
WHOLE = ("base", "overlays/trial", "overlays/production")
FIRST, LATEST = "1.30", "1.37"
"""Releases of Kubernetes: the first with every field that is used here, the newest whose schemas are here."""
FOREIGN = ("ScaledObject", "ServiceMonitor")
"""Kinds of others, whose schemas Kubernetes does not bring."""

Object = dict[str, Any]


@cache
def rendered(name: str) -> tuple[Object, ...]:
    """Return the objects of a directory as kustomize makes them; without kubectl, as they are written."""
    if shutil.which("kubectl") is None:
        return tuple(written(MANIFESTS / name))
    command = ["kubectl", "kustomize", str(MANIFESTS / name)]
    made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return tuple(yaml.safe_load_all(made.stdout))


def written(directory: Path, found: list[Object] | None = None) -> list[Object]:
    """Resolve resources, components and generated maps by hand; patches are left out."""
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text())
    found = [] if found is None else found
    for each in kustomization.get("resources", ()):
        path = directory / each
        found += written(path) if path.is_dir() else yaml.safe_load_all(path.read_text())
    for labels in kustomization.get("labels", ()):
        for each in found:
            each["metadata"].setdefault("labels", {}).update(labels["pairs"])
            if labels["includeTemplates"] and "template" in each.get("spec", {}):
                each["spec"]["template"]["metadata"]["labels"].update(labels["pairs"])
    for each in kustomization.get("components", ()):
        written(directory / each, found)
    for kind, key in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for each in kustomization.get(key, ()):
            data = dict(literal.split("=", 1) for literal in each["literals"])
            known = [one for one in found if (one["kind"], one["metadata"]["name"]) == (kind, each["name"])]
            if known:
                known[0]["data"] |= data
            else:
                found.append(
                    {"apiVersion": "v1", "kind": kind, "metadata": {"name": each["name"]}, "data": data}
                )
    return found


def of_kind(name: str, *kinds: str) -> list[Object]:
    return [each for each in rendered(name) if each["kind"] in kinds]


def workloads(name: str) -> dict[str, Object]:
    return {
        each["metadata"]["name"]: each for each in of_kind(name, "Deployment", "StatefulSet", "DaemonSet")
    }


def container(workload: Object) -> Object:
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def test_the_resolver_for_machines_without_kubectl_finds_the_same_objects() -> None:
    for name in WHOLE:
        with_kubectl = sorted(
            (each["kind"], each["metadata"]["name"].split("-settings")[0]) for each in rendered(name)
        )
        by_hand = written(MANIFESTS / name)
        assert with_kubectl == sorted(
            (each["kind"], each["metadata"]["name"].split("-settings")[0]) for each in by_hand
        )


@pytest.mark.parametrize("name", [*WHOLE, "components/seccomp"])
def test_every_object_is_one_that_kubernetes_knows(name: str) -> None:
    objects = rendered(name) if name in WHOLE else written(MANIFESTS / name)
    assert objects
    for each in objects:
        if each["kind"] not in FOREIGN and (name == "base" or each not in rendered("base")):
            kubernetes_validate.validate(each, LATEST, strict=True)


def test_the_services_need_no_newer_kubernetes_than_is_said() -> None:
    for each in workloads("base").values():
        kubernetes_validate.validate(each, FIRST, strict=True)
    assert f"Kubernetes {FIRST}" in (ROOT / "docs" / "kubernetes.md").read_text()


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", WHOLE)
def test_each_service_takes_the_settings_that_it_is_given(name: str, service: str, tmp_path: Path) -> None:
    module = importlib.import_module(f"qrt_{service}.settings")
    cls: type[ServiceSettings] = getattr(module, f"{service.capitalize()}Settings")
    (settings_map,) = of_kind(name, "ConfigMap")
    assert all(
        key.startswith(tuple(f"QRT_{each.upper()}_" for each in SERVICES)) for key in settings_map["data"]
    )
    given = {key: value for key, value in settings_map["data"].items() if key.startswith(module.PREFIX)}
    secrets = {
        "bus-url": "amqp://b/",
        "mongo-url": "mongodb://m/",
        "sealing-keys": "k" * 32,
        "bootstrap-tokens": "",
    }
    mounted = mounted_secrets(workloads(name)[service])
    for key, value in given.items():
        if key.endswith("_FILE"):
            secret = value.removeprefix("/run/secrets/runtime/")
            assert secret in mounted, key
            (tmp_path / secret).write_text(secrets[secret])
            given[key] = str(tmp_path / secret)
    if service == "executor":
        given["QRT_EXECUTOR_PROGRAM_PYTHON"] = sys.executable  # its image says where
    settings = load(cls, given, prefix=module.PREFIX)
    assert settings.health.host == "0.0.0.0"
    ports = {each["name"]: each["containerPort"] for each in container(workloads(name)[service])["ports"]}
    assert ports["health"] == settings.health.port
    if service == "gateway":
        assert ports["http"] == getattr(settings, "port", None)
    assert settings.bus.url.get_secret_value() == "amqp://b/"


def mounted_secrets(workload: Object) -> set[str]:
    """Return the secrets that a service finds in /run/secrets/runtime."""
    volumes = {each["name"]: each for each in workload["spec"]["template"]["spec"]["volumes"]}
    mounts = {each["name"]: each["mountPath"] for each in container(workload)["volumeMounts"]}
    assert mounts["secrets"] == "/run/secrets/runtime"
    return {each["path"] for each in volumes["secrets"]["secret"]["items"]}


@pytest.mark.parametrize("name", WHOLE)
def test_selectors_find_what_they_are_to_find(name: str) -> None:
    pods = {key: each["spec"]["template"]["metadata"]["labels"] for key, each in workloads(name).items()}
    for key, each in workloads(name).items():
        assert each["spec"]["selector"]["matchLabels"].items() <= pods[key].items()
    for each in of_kind(name, "Service"):
        chosen = [key for key, labels in pods.items() if each["spec"]["selector"].items() <= labels.items()]
        assert chosen == [each["metadata"]["name"]]
        ports = {one["name"] for one in container(workloads(name)[chosen[0]])["ports"]}
        assert {one["targetPort"] for one in each["spec"]["ports"]} <= ports
    for each in of_kind(name, "PodDisruptionBudget"):
        wanted = each["spec"]["selector"]["matchLabels"]
        assert [key for key, labels in pods.items() if wanted.items() <= labels.items()] == [
            each["metadata"]["name"]
        ]
    for each in of_kind(name, "NetworkPolicy"):
        assert any(selects(each["spec"]["podSelector"], labels) for labels in pods.values()), each["metadata"]
    for each in of_kind(name, "HorizontalPodAutoscaler", "ScaledObject"):
        target = each["spec"]["scaleTargetRef"]
        assert workloads(name)[target["name"]]["kind"] == target["kind"]


def selects(selector: Object, labels: dict[str, str]) -> bool:
    for each in selector.get("matchExpressions", ()):
        assert each["operator"] == "In"
        if labels.get(each["key"]) not in each["values"]:
            return False
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_watched_bounded_and_without_rights(service: str) -> None:
    workload = workloads("base")[service]
    pod, one = workload["spec"]["template"]["spec"], container(workload)
    paths = {probe: one[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {each["port"] for each in paths.values()} == {"health"}
    assert [each["path"] for each in paths.values()] == ["/livez", "/livez", "/readyz"]
    assert one["image"] == f"quafu-runtime/{service}"
    dockerfile = (ROOT / "services" / service / "Dockerfile").read_text()
    assert f'ENTRYPOINT ["/opt/service/bin/python", "-m", "qrt_{service}"]' in dockerfile
    assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" in dockerfile
    assert pod["securityContext"]["runAsNonRoot"]
    # A Service gives variables by its name: one with our prefix would be taken for a malformed setting.
    assert (pod["enableServiceLinks"], pod["automountServiceAccountToken"]) == (False, False)
    assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert one["securityContext"]["readOnlyRootFilesystem"]
    assert not one["securityContext"]["allowPrivilegeEscalation"]
    assert {"requests", "limits"} <= one["resources"].keys()
    assert pod["topologySpreadConstraints"]
    assert workload["spec"]["replicas"] >= 2


def test_an_executor_has_the_time_to_drain_and_what_its_level_needs() -> None:
    (settings,) = (each["data"] for each in of_kind("base", "ConfigMap"))
    workload = workloads("base")["executor"]
    pod, one = workload["spec"]["template"]["spec"], container(workload)
    grace = (
        importlib.import_module("qrt_executor.settings")
        .ExecutorSettings.model_fields["grace_seconds"]
        .default
    )
    least = float(settings["QRT_EXECUTOR_DRAIN_SECONDS"]) + grace + 10
    assert pod["terminationGracePeriodSeconds"] >= least
    assert settings["QRT_EXECUTOR_ISOLATION"] == "jail"
    assert one["securityContext"]["procMount"] == "Unmasked"
    assert pod["hostUsers"] is False
    assert pod["securityContext"]["seccompProfile"]["type"] == "Localhost"
    name = Path(pod["securityContext"]["seccompProfile"]["localhostProfile"]).name
    assert name in (MANIFESTS / "components" / "seccomp" / "installer.yaml").read_text()
    assert (ROOT / "deploy" / "executor-seccomp.json").exists()
    assert one["resources"]["limits"]["cpu"] == settings["QRT_EXECUTOR_CPUS"]
    assert settings["QRT_EXECUTOR_MEMORY_BYTES"] == str(6 << 30)
    assert one["resources"]["limits"]["memory"] == "6Gi"


def test_executors_are_scaled_by_what_waits_and_runs() -> None:
    (scaled,) = of_kind("overlays/production", "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    there = {each._name for package in PACKAGES for each in metrics_of(package)}
    assert "qrt_scheduler_queued_jobs" in trigger["metadata"]["query"]
    asked = {
        word.split("{")[0].split("(")[-1] for word in trigger["metadata"]["query"].split() if "qrt_" in word
    }
    assert asked <= there
    (settings,) = (each["data"] for each in of_kind("overlays/production", "ConfigMap"))
    assert trigger["metadata"]["threshold"] == settings["QRT_EXECUTOR_SLOTS"]


if shutil.which("kubectl"):  # one more where it is; all others hold without it

    def test_the_trial_runs_at_landlock_and_production_leaves_numbers_to_the_autoscalers() -> None:
        trial = workloads("overlays/trial")["executor"]
        assert "procMount" not in container(trial)["securityContext"]
        assert trial["spec"]["template"]["spec"]["securityContext"]["seccompProfile"] == {
            "type": "RuntimeDefault"
        }
        assert {"rabbitmq", "mongodb"} <= workloads("overlays/trial").keys()
        production = workloads("overlays/production")
        assert "replicas" not in production["executor"]["spec"]
        assert container(production["gateway"])["image"].startswith("images.example.org/")
