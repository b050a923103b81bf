"""Absolute addresses: what clients are told to follow. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")

_ORIGIN = re.compile(r"[0-9A-Za-z.:\[\]_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """How the gateway's own address is found."""

    public_url: str | None = None
    """The configured one; it settles the matter."""
    forwarded: bool = False
    """Believe `X-Forwarded-Proto`, `-Host` and the last of `X-Forwarded-For`: a proxy in front sets them."""
    served: str = "http://localhost"
    """Where the gateway serves, for requests whose header Host is none."""

    def base(self, headers: Mapping[str, str], *, scheme: str) -> str:
        """Return the address without a slash at its end, as the client of a request reaches it."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host = headers.get("host", "")
        if self.forwarded:
            scheme = _first(headers.get("x-forwarded-proto", "")).lower() or scheme
            host = _first(headers.get("x-forwarded-host", "")) or host
        if scheme not in ("http", "https") or not _HOST.fullmatch(host):
            return self.served
        return f"{scheme}://{host}"

    def origin(self, headers: Mapping[str, str], *, peer: str | None) -> str | None:
        """Return where a request comes from: the peer, or whom a believed proxy names last."""
        named = headers.get("x-forwarded-for", "").rpartition(",")[2].strip() if self.forwarded else ""
        return named if _ORIGIN.fullmatch(named) else peer


def service_path(service: str) -> str:
    """Return the path of a service as it stands in an address."""
    return f"/services/{quote(service, safe='')}"


def _first(value: str) -> str:
    """Return what the outermost of several proxies wrote."""
    return value.partition(",")[0].strip()
