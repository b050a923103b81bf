"""Where packages come from: the operator's settings, or what uv finds configured around the executor."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from qrt_executor.adapters.environments.egress import Host
from qrt_executor.adapters.environments.folder import copy_place, is_open

_PASSED = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX",
    "UV_INDEX_STRATEGY", "UV_HTTP_TIMEOUT", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_INSECURE_HOST",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
_PLACES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """What uv is told of indexes, and what of it must not be seen."""

    options: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    readable: tuple[Path, ...] = ()
    open_to: frozenset[Host] = frozenset()
    """Hosts of the operator's that builds reach wherever they stand. What the index's pages lead to is
    learned as uv goes there."""
    secret: bool = False
    """An address holds credentials: nothing that a package brings along may run beside it."""
    offline: bool = False
    copied: Path | None = None
    """The operator's folder, of which the readable one is a copy."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of hosts and folders that no log shows."""
        names = {host for host, _ in self.open_to} | {str(path) for path in self.readable}
        return tuple(sorted(names, key=len, reverse=True))


def package_source(
    *,
    index_url: str | None,
    wheels: Path | None,
    environ: Mapping[str, str],
    hosts: frozenset[str] = frozenset(),
    copies: Path | None = None,
) -> PackageSource:
    """Return the source that the settings name, else the one that `environ` configures for uv.

    `hosts` are further places, as `host` or `host:port`, that files of the index come from. `copies` is the
    directory for a copy of the folder `wheels`, where builds run as a user whom it may be closed to.

    Raises:
        OSError: there is no such folder.
    """
    further = _hosts(" ".join(f"https://{host}" for host in hosts))
    certificates = {name: environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in environ}
    files = tuple(path for path in map(Path, certificates.values()) if path.exists())
    if wheels is not None:
        seen = wheels if copies is None or is_open(wheels) else copy_place(wheels, copies)
        return PackageSource(
            options=("--no-index", "--find-links", str(seen)),
            readable=(seen,),
            offline=True,
            copied=None if seen is wheels else wheels,
        )
    if index_url is not None:
        return PackageSource(
            environ=certificates | {"UV_DEFAULT_INDEX": index_url},
            readable=files,
            open_to=_hosts(index_url) | further,
            secret=_is_secret(index_url),
        )
    found = {name: environ[name] for name in _PASSED if name in environ}
    logins = {
        name: value
        for name, value in environ.items()
        if name.startswith("UV_INDEX_") and name.endswith(("_USERNAME", "_PASSWORD"))
    }
    places = " ".join(found.get(name, "") for name in _PLACES)
    return PackageSource(
        environ=found | logins,
        readable=(*files, *_folders(places)),
        open_to=_hosts(places) | further,
        secret=bool(logins) or _is_secret(places),
    )


def _addresses(text: str) -> list[str]:
    words = text.replace(",", " ").split()
    return [word.partition("=")[2] if "=" in word.partition("://")[0] else word for word in words]


def _folders(text: str) -> list[Path]:
    local = [each.removeprefix("file://") for each in _addresses(text)]
    return [path for path in map(Path, local) if path.is_absolute() and path.is_dir()]


def _hosts(text: str) -> frozenset[Host]:
    parts = [urlsplit(each) for each in _addresses(text) if "://" in each]
    return frozenset(
        (part.hostname, part.port or (443 if part.scheme == "https" else 80))
        for part in parts
        if part.hostname and not _is_literal_any(part.hostname)
    )


def _is_literal_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_secret(text: str) -> bool:
    return any("@" in urlsplit(each).netloc for each in _addresses(text) if "://" in each)
