"""Everything the gateway reads from its environment (`QRT_GATEWAY_*`)."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from qrt_chassis.sealing import SealingKeys
from qrt_chassis.settings import HealthSettings, ServiceSettings, Unit
from qrt_gateway.domain.reach import networks_of

PREFIX = "QRT_GATEWAY_"

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_TOKEN = re.compile(r"[!-+\--<>-~]{4,512}")
"""Printable ASCII without spaces, commas and equals signs."""


class GatewaySettings(ServiceSettings):
    """Settings of one gateway replica."""

    health: HealthSettings = HealthSettings(port=8104)
    host: str = "127.0.0.1"
    """The address at which clients are answered; `0.0.0.0` is every one of this host."""
    port: Annotated[int, Unit("port")] = Field(default=8000, ge=0, le=65535)
    """The port at which clients are answered; 0 takes any free port."""
    linger_seconds: float = Field(default=0.0, ge=0, le=600)
    """How long requests are still taken after the gateway was told to stop and `/readyz` says that it stops:
    what a proxy or a load balancer needs to look and to send them elsewhere."""
    max_body_bytes: int = Field(default=16 << 20, ge=1024)
    """The largest request body, uploads of projects aside."""
    max_archive_bytes: int = Field(default=64 << 20, ge=1024)
    """The largest archive of a project; the registry has a limit of its own."""
    requests_per_second: Annotated[float, Unit("requests/s")] = Field(default=1000.0, gt=0)
    """How often one token may ask, at this replica and in the long run; beyond it the answer is 429."""
    requests_burst: Annotated[int, Unit("requests")] = Field(default=5000, ge=1)
    """How many requests of one token may come at once."""
    audit_days: int = Field(default=90, ge=1, le=3650)
    """How long the audit log keeps what accounts changed and were refused."""
    quafu_wait_seconds: float = Field(default=86400.0, gt=0)
    """How long a Quafu client's request for a result is held while its job runs; then the answer is
    where the job stands. Behind a proxy that gives up sooner, choose a little less than it does."""
    public_url: str | None = None
    """How clients reach this gateway, such as `https://runtime.example.org`: what absolute addresses in
    its answers begin with. Unset, a request's own header Host says it."""
    trust_forwarded: bool = False
    """Take `X-Forwarded-Proto` and `X-Forwarded-Host` for how clients reach this gateway, and the last of
    `X-Forwarded-For` for who they are. Only behind a proxy that sets all three itself."""
    kipu_cancel_status: Literal["200", "204"] = "200"
    """How a Kipu client's cancellation is answered: 200 with the execution, which clients of every age
    take, or 204, which the newest description says."""
    any_bearer: bool = False
    """Take every token that is not known for one of the first of `bootstrap_tokens`' accounts (of one
    called `developer` if there is none), without an administrator's rights. For local development: whoever
    reaches the gateway is that account, so it must listen on loopback."""
    sealing_keys: SealingKeys | None = None
    """Seal what only programs and backends may read; the gateways and the executors share them. Several
    with commas between: the first one seals, each one opens. Without any, no secrets are taken."""
    webhook_networks: tuple[str, ...] = ()
    """Networks, such as `10.1.0.0/16`, that webhooks may be sent to although not everybody can reach them,
    by http too. Unset, webhooks go to public addresses alone."""
    webhook_http: bool = False
    """Let webhooks go to public addresses by http: whoever is on the way can read them then."""
    bootstrap_tokens: SecretStr = SecretStr("")
    """`account=token`, several with commas between: made at start if absent; the first account is
    an administrator. Without any, the first gateway that finds no account makes the administrator `admin`
    and writes its token to stderr, once."""

    @field_validator("bootstrap_tokens")
    @classmethod
    def _well_formed(cls, value: SecretStr) -> SecretStr:
        for name, token in _pairs(value):
            if not _ACCOUNT.fullmatch(name) or not _TOKEN.fullmatch(token):
                raise ValueError("give account=token, several with commas between")
        return value

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        networks_of(value)
        return value

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query):
            raise ValueError("give an address such as https://runtime.example.org")
        return value or None

    @field_validator("any_bearer")
    @classmethod
    def _on_loopback(cls, value: bool, info: ValidationInfo) -> bool:
        if value and not _is_loopback(str(info.data.get("host", ""))):
            raise ValueError("any token is taken on loopback only: serve on 127.0.0.1, ::1 or localhost")
        return value

    @property
    def anyone(self) -> str:
        """The account that any token stands for with `any_bearer`."""
        return next((name for name, _ in self.bootstrap()), "developer")

    def bootstrap(self) -> tuple[tuple[str, str], ...]:
        """Return (account, token) of each account to make at start."""
        return _pairs(self.bootstrap_tokens)


def _pairs(value: SecretStr) -> tuple[tuple[str, str], ...]:
    parts = [part.strip() for part in value.get_secret_value().split(",")]
    split = [part.partition("=") for part in parts if part]
    return tuple((name.strip(), token.strip()) for name, _, token in split)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
