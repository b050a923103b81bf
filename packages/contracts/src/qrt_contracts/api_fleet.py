"""The native surface's shapes of where circuits and jobs run; see `qrt_contracts.api` for the rules."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, SecretStr, field_validator

from qrt_contracts.api import _Request, _View
from qrt_contracts.events import Heartbeat
from qrt_contracts.values import BackendInfo, Isolation, ProgramKind

# --- backends and executors -----------------------------------------------------------------------


class BackendView(BackendInfo):
    """`GET /v1/backends/{name}`: where circuits can run."""

    executors: int = 0
    """How many executors serve it now; with none it is offline."""


class BackendList(_View):
    """`GET /v1/backends`, by name."""

    backends: tuple[BackendView, ...]


class ExecutorView(_View):
    """What an executor said of itself a moment ago."""

    name: str
    slots: int
    """Attempts it takes at once; 0 while it refuses work."""
    running: int
    """Attempts it runs now."""
    isolation: Isolation
    kinds: tuple[ProgramKind, ...]
    backends: tuple[str, ...] = ()
    cpus: float | None = None
    memory_bytes: int | None = None
    gpus: int = 0
    gpu_type: str | None = None
    warm_environments: int = 0
    draining: bool = False

    @classmethod
    def of(cls, beat: Heartbeat) -> Self:
        """Return what an administrator sees of a heartbeat."""
        return cls(
            name=beat.executor,
            slots=beat.slots,
            running=len(beat.running),
            isolation=beat.isolation,
            kinds=beat.kinds,
            backends=tuple(each.name for each in beat.backends),
            cpus=beat.cpus,
            memory_bytes=beat.memory_bytes,
            gpus=beat.gpus,
            gpu_type=beat.gpu_type,
            warm_environments=len(beat.warm_environments),
            draining=beat.draining,
        )


class ExecutorList(_View):
    """`GET /v1/executors`, administrators only."""

    executors: tuple[ExecutorView, ...]


class DrainOrder(_View):
    """`POST /v1/executors/{name}/drain` and `/undrain`: what the executor was told."""

    name: str
    draining: bool


# --- dead letters ---------------------------------------------------------------------------------


class DeadQueue(_View):
    """A queue of dead letters, and how many there are."""

    queue: str
    letters: int


class DeadQueueList(_View):
    """`GET /v1/admin/dead-letters`, administrators only."""

    queues: tuple[DeadQueue, ...]


class DeadLetterView(_View):
    """A message that nobody could handle."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    message_id: str
    reason: str
    """`invalid`, `unknown schema`, `failed`, or `delivery_limit`."""
    error: str
    died_at: datetime | None
    """None for letters of an earlier release."""
    queue: str
    """The queue it died in, and goes back to."""
    schema_name: str = Field(serialization_alias="schema")
    body: str
    """As it was sent, JSON."""


class DeadLetterList(_View):
    """`GET /v1/admin/dead-letters/{queue}?limit=`: the oldest letters, which stay there."""

    model_config = ConfigDict(serialize_by_alias=True)

    letters: tuple[DeadLetterView, ...]


class ReplayRequest(_Request):
    """`POST /v1/admin/dead-letters/{queue}/replay`: one letter, or the oldest `limit` of them."""

    message_id: str | None = Field(default=None, min_length=1, max_length=255)
    limit: int = Field(default=100, ge=1, le=10_000)
    """How many of the oldest are looked at."""


class Replayed(_View):
    """How many letters were sent back to the queues they died in."""

    replayed: int


# --- tokens for services outside -----------------------------------------------------------------


class CredentialRequest(_Request):
    """`PUT /v1/account/credentials/{cloud}`: the account's token for a cloud, such as `quafu`.

    It is kept and sent sealed, given to the executors that run the account's jobs, and never told again.
    """

    token: Annotated[
        SecretStr, Field(min_length=1, max_length=4096, json_schema_extra={"pattern": "^[!-~]+$"})
    ]

    @field_validator("token")
    @classmethod
    def _fit_for_a_header(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value()
        if not (text.isascii() and text.isprintable()) or " " in text:
            raise ValueError("a token has printable ASCII characters and no spaces")
        return token


class CredentialView(_View):
    """That a token is kept, and since when."""

    cloud: str
    updated_at: datetime
