"""What a user chooses about the single-machine runtime."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class StandaloneSettings:
    """Settings of one single-machine runtime."""

    data: Path
    """Where everything it keeps lives."""
    host: str
    port: int
    """0 picks a free one."""
    mongo_url: str | None
    """A MongoDB server to use instead of the embedded one."""
    program_python: Path
    """The interpreter of the environment that programs run in."""
    slots: int | None
    """Jobs at once; None is one for each core."""
    log_level: str
    public_url: str | None = None
    """How clients reach it, where that is not its address here."""
    any_token: bool = False
    """Take any token for the first account's: only for development, on loopback."""
    quafu_url: str | None = None
    """Address of the Quafu cloud; None leaves its devices out."""
    engine: str | None = None
    """The socket of a container engine; None leaves container programs out."""
    webhook_networks: tuple[str, ...] = ()
    """Networks that webhooks may be sent to besides public addresses."""
    index_url: SecretStr | None = None
    """Where packages of programs come from; None is what uv finds configured."""
    wheels: Path | None = None
    """A folder of packages to use in place of any index."""
    allow_packages: frozenset[str] = frozenset()
    """The only packages that programs may have; empty is any."""

    @property
    def token_file(self) -> Path:
        """Where the first account's token is kept, readable by its owner alone."""
        return self.data / "token"

    @property
    def key_file(self) -> Path:
        """Where the key that seals secrets is kept, readable by its owner alone."""
        return self.data / "sealing-key"


def default_data() -> Path:
    """Return the directory used when none is named."""
    return Path(os.path.expanduser("~")) / ".quafu-runtime"


def own_token(settings: StandaloneSettings) -> str:
    """Return the token of the first account; made at the first start."""
    return _kept(settings.token_file, random_bytes=24)


def own_key(settings: StandaloneSettings) -> SecretStr:
    """Return the key that seals secrets; made at the first start. Without it, sealed ones are lost."""
    return SecretStr(_kept(settings.key_file, random_bytes=32))


def _kept(path: Path, *, random_bytes: int) -> str:
    if path.exists():
        return path.read_text().strip()
    text = secrets.token_urlsafe(random_bytes)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    return text
