"""Everything the gateway reads from its environment (`QRT_GATEWAY_*`)."""

import re

from pydantic import Field, SecretStr, field_validator

from qrt_chassis.sealing import SealingKeys
from qrt_chassis.settings import HealthSettings, ServiceSettings

PREFIX = "QRT_GATEWAY_"

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_TOKEN = re.compile(r"[!-+\--<>-~]{4,512}")
"""Printable ASCII without spaces, commas and equals signs."""


class GatewaySettings(ServiceSettings):
    """Settings of one gateway replica."""

    health: HealthSettings = HealthSettings(port=8104)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    """0 takes any free port."""
    max_body_bytes: int = Field(default=16 << 20, ge=1024)
    """The largest request body."""
    requests_per_second: float = Field(default=1000.0, gt=0)
    """How often one token may ask, at this replica and in the long run; beyond it the answer is 429."""
    requests_burst: int = Field(default=5000, ge=1)
    """How many requests of one token may come at once."""
    quafu_wait_seconds: float = Field(default=86400.0, gt=0)
    """How long a Quafu client's request for a result is held while its job runs; then the answer is
    where the job stands. Behind a proxy that gives up sooner, choose a little less than it does."""
    sealing_keys: SealingKeys | None = None
    """Seal what only programs and backends may read; the gateways and the executors share them. Several
    with commas between: the first one seals, each one opens. Without any, no secrets are taken."""
    bootstrap_tokens: SecretStr = SecretStr("")
    """`account=token`, several with commas between: made at start if absent; the first account is
    an administrator."""

    @field_validator("bootstrap_tokens")
    @classmethod
    def _well_formed(cls, value: SecretStr) -> SecretStr:
        for name, token in _pairs(value):
            if not _ACCOUNT.fullmatch(name) or not _TOKEN.fullmatch(token):
                raise ValueError("give account=token, several with commas between")
        return value

    def bootstrap(self) -> tuple[tuple[str, str], ...]:
        """Return (account, token) of each account to make at start."""
        return _pairs(self.bootstrap_tokens)


def _pairs(value: SecretStr) -> tuple[tuple[str, str], ...]:
    parts = [part.strip() for part in value.get_secret_value().split(",")]
    split = [part.partition("=") for part in parts if part]
    return tuple((name.strip(), token.strip()) for name, _, token in split)
