"""What the simulation takes as given: measured costs, and assumptions, each with its source."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

FILE = Path(__file__).with_name("parameters.json")


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Means. `_ms` are milliseconds of CPU of one core; `parameters.json` says where each is from."""

    gateway_job_ms: float
    gateway_news_ms: float
    registry_job_ms: float
    scheduler_job_ms: float
    dispatcher_job_ms: float
    executor_job_ms: float
    sandbox_job_ms: float
    rabbit_job_ms: float
    mongo_job_ms: float
    client_job_ms: float
    gateway_output_ms: float
    scheduler_output_ms: float
    executor_output_ms: float
    rabbit_output_ms: float
    mongo_output_ms: float
    dispatcher_beat_ms: float
    gateway_beat_ms: float
    rabbit_beat_ms: float
    executor_beat_ms: float
    run_seconds: float
    """How long a program runs."""
    outputs_per_job: float
    """Batches of outputs, beyond what the measured job has."""
    listeners_per_job: float
    slots: int
    """Of one executor, and its cores."""
    rabbit_cores: int
    mongo_cores: int
    queue_message_ms: float
    """What one queue of RabbitMQ spends on one message: a queue is one process there, on one core."""
    hop_ms: float
    """From one process to the next over the network."""
    store_ms: float
    """How long a write waits for the disk, beyond its CPU."""

    @classmethod
    def read(cls, path: Path = FILE) -> Self:
        """Read the file. Raises KeyError for a figure that is missing."""
        given: Mapping[str, Any] = json.loads(path.read_text())["parameters"]
        return cls(**{each.name: given[each.name]["value"] for each in fields(cls)})


def measured(path: Path = FILE) -> dict[str, Any]:
    """Return what was measured beside the parameters: the rate and the latency of this composition."""
    found: dict[str, Any] = json.loads(path.read_text())["measured"]
    return found
