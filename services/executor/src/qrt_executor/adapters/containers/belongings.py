"""What the engine keeps for this executor besides images: found by label, removed when nobody uses it."""

import json
import logging
from collections.abc import Callable, Mapping

from aiodocker.exceptions import DockerError

from qrt_executor.adapters.containers.engine import UNREACHABLE, Engine

log = logging.getLogger(__name__)

EXECUTOR = "qrt.executor"
INCARNATION = "qrt.incarnation"
ATTEMPT = "qrt.attempt"

InUse = Callable[[Mapping[str, str]], bool]
"""Whether something with these labels is used."""


async def sweep(engine: Engine, *, executor: str, in_use: InUse) -> None:
    """Remove containers, volumes and networks of an executor that nobody uses, of whatever life of it.

    Raises DockerError, or what `UNREACHABLE` holds.
    """
    params = {"filters": json.dumps({"label": [f"{EXECUTOR}={executor}"]})}
    for each in await engine.ask("GET", "containers/json", params={**params, "all": "true"}):
        if not in_use(each["Labels"]):
            log.info("removing %s, which nobody uses", each["Names"])
            await engine.remove(each["Id"])
    for each in (await engine.ask("GET", "volumes", params=params)).get("Volumes") or ():
        if not in_use(each["Labels"]):
            await engine.remove_volume(each["Name"])
    for each in await engine.ask("GET", "networks", params=params):
        if not in_use(each["Labels"]):
            await engine.remove_network(each["Name"])


async def make_network(engine: Engine, name: str, *, labels: Mapping[str, str]) -> None:
    """Make a bridge for one container alone, so that containers do not see each other.

    Raises DockerError, or what `UNREACHABLE` holds.
    """
    options = {"com.docker.network.bridge.enable_icc": "false"}
    body = {"Name": name, "Driver": "bridge", "Labels": dict(labels), "Options": options}
    await engine.ask("POST", "networks/create", body={**body, "CheckDuplicate": True})


async def remove_container(engine: Engine, container: str) -> None:
    """Remove a container as far as the engine lets us; what is left is swept later."""
    try:
        await engine.remove(container)
    except (DockerError, *UNREACHABLE) as exc:
        log.warning("container %s is left for the next sweep: %s", container, exc)


async def remove_network(engine: Engine, name: str) -> None:
    """Remove a network as far as the engine lets us; what is left is swept later."""
    try:
        await engine.remove_network(name)
    except (DockerError, *UNREACHABLE) as exc:
        log.warning("network %s is left for the next sweep: %s", name, exc)
