"""Sessions of the web console: a cookie that stands for a token, and who may use it. Pure."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

LIFETIME = timedelta(hours=12)
"""A session ends then, whatever its token does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as it is stored; the cookie itself is not."""

    digest: str
    """sha256 of the cookie, hexadecimal."""
    token: str
    """sha256 of the token that was given for it: the session is worth what that token is worth."""
    expires_at: datetime


def new_cookie() -> str:
    """Return the text of a new cookie: 256 random bits."""
    return secrets.token_urlsafe(32)


def from_elsewhere(headers: Mapping[str, str], base: str) -> bool:
    """Tell whether a browser says that another site's page sent a request to the gateway at `base`."""
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return True
    origin = headers.get("origin")
    # The scheme is left out: behind a proxy that ends TLS, only the host is known here.
    return origin is not None and urlsplit(origin).netloc.lower() not in (
        urlsplit(base).netloc.lower(),
        headers.get("host", "").lower(),
    )


def from_here(headers: Mapping[str, str], base: str) -> bool:
    """Tell whether a browser says that a page of the gateway at `base` itself sent a request."""
    said = headers.get("origin") or headers.get("sec-fetch-site")
    return said is not None and not from_elsewhere(headers, base)
