"""Accounts and tokens. A token is known by its sha256 alone; its text is shown once."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from qrt_contracts.faults import Forbidden, NotAuthenticated

PREFIX = "qrt_"
"""What made tokens begin with, so that a leaked one is recognised for what it is."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from."""

    name: str
    admin: bool
    anyone: bool = False
    """The token was unknown, and any is taken: see `QRT_GATEWAY_ANY_BEARER`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is stored."""

    digest: str
    """sha256 of its text, hexadecimal."""
    id: str
    name: str
    account: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    client: str | None = None
    """Id of the client it was given to, None for those that people make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An OAuth2 client of an account, as it is stored: a program's way to tokens that last an hour."""

    id: str
    digest: str
    """sha256 of its secret, hexadecimal."""
    name: str
    account: str
    created_at: datetime
    revoked_at: datetime | None = None


def new_secret() -> str:
    """Return the text of a new token: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """Return what a token is stored and found by.

    Plain sha256 is enough: made tokens have 256 random bits, so there is nothing to guess.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def require_valid(token: Token, *, now: datetime) -> None:
    """Return if a token may be used.

    Raises:
        NotAuthenticated: it is revoked or has expired; the text says which.
    """
    if token.revoked_at is not None:
        raise NotAuthenticated(f"this token was revoked at {token.revoked_at:%Y-%m-%dT%H:%M:%SZ}")
    if token.expires_at is not None and token.expires_at <= now:
        raise NotAuthenticated(f"this token expired at {token.expires_at:%Y-%m-%dT%H:%M:%SZ}")


def require_someone(caller: Caller) -> None:
    """Return if a caller may be given tokens.

    Raises:
        Forbidden: who sent an unknown token, where any is taken, must not come by a lasting one.
    """
    if caller.anyone:
        raise Forbidden("a token that is not known here makes no other; use one that was issued")
