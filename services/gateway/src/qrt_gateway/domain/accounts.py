"""Accounts, groups and tokens. A token is known by its sha256 alone; its text is shown once."""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from qrt_contracts.faults import Forbidden, NotAuthenticated
from qrt_contracts.rights import Rights, Role, Scope

PREFIX = "qrt_"
"""What made tokens begin with, so that a leaked one is recognised for what it is."""

SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.ADMIN: frozenset(Scope),
    Role.USER: frozenset({Scope.READ, Scope.RUN, Scope.WRITE}),
    Role.VIEWER: frozenset({Scope.READ}),
}
"""The most that a token of an account may do."""


class MissingScope(Forbidden):
    """The caller may not do this, whatever it is done to: its token or its role does not allow it."""

    def __init__(self, scope: Scope, detail: str) -> None:
        super().__init__(detail)
        self.scope = scope


class Refused(NotAuthenticated):
    """What was sent to prove who asks is known to be an account's, and is not valid, or not any more."""

    def __init__(self, detail: str, *, account: str, token: str | None = None) -> None:
        super().__init__(detail)
        self.account = account
        self.token = token
        """The id of the token, if it was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as it is stored."""

    name: str
    role: Role
    groups: tuple[str, ...] = ()
    """Sorted."""
    disabled: bool = False
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group as it is stored; who is in it is kept with the accounts."""

    name: str
    created_at: datetime


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
    scopes: tuple[Scope, ...] | None = None
    """None is all that its account may do."""
    last_used_at: datetime | None = None
    requests_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from, and what it may do."""

    name: str
    admin: bool
    """Acts as an administrator: its account is one, and its token has the scope."""
    anyone: bool = False
    """The token was unknown, and any is taken: see `QRT_GATEWAY_ANY_BEARER`."""
    role: Role = Role.USER
    scopes: frozenset[Scope] = SCOPES[Role.USER]
    groups: tuple[str, ...] = ()
    token: Token | None = None

    @property
    def rights(self) -> Rights:
        """What goes with each command on the caller's behalf."""
        return Rights.model_construct(groups=self.groups, all=self.admin)


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
    scopes: tuple[Scope, ...] | None = None
    """What its tokens may do: no more than the token it was made with. None is all that its account may."""


def new_secret() -> str:
    """Return the text of a new token: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """Return what a token is stored and found by.

    Plain sha256 is enough: made tokens have 256 random bits, so there is nothing to guess.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def caller_of(account: Account, token: Token) -> Caller:
    """Return who asks with a token: never more than the account's role allows."""
    scopes = SCOPES[account.role]
    if token.scopes is not None:
        scopes &= frozenset(token.scopes)
    return Caller(
        account.name,
        admin=Scope.ADMIN in scopes,
        role=account.role,
        scopes=scopes,
        groups=account.groups,
        token=token,
    )


def require_valid(token: Token, *, now: datetime) -> None:
    """Return if a token may be used.

    Raises:
        Refused: it is revoked or has expired; the text says which.
    """
    if token.revoked_at is not None:
        raise _refused(token, f"this token was revoked at {token.revoked_at:%Y-%m-%dT%H:%M:%SZ}")
    if token.expires_at is not None and token.expires_at <= now:
        raise _refused(token, f"this token expired at {token.expires_at:%Y-%m-%dT%H:%M:%SZ}")


def require_enabled(account: Account, token: Token) -> None:
    """Return if an account's tokens may be used. Raises: Refused."""
    if account.disabled:
        raise _refused(token, f"the account {account.name!r} is disabled")


def _refused(token: Token, detail: str) -> Refused:
    return Refused(detail, account=token.account, token=token.id)


def require_someone(caller: Caller) -> None:
    """Return if a caller may be given tokens.

    Raises:
        Forbidden: who sent an unknown token, where any is taken, must not come by a lasting one.
    """
    if caller.anyone:
        raise Forbidden("a token that is not known here makes no other; use one that was issued")


def require_scope(caller: Caller, scope: Scope) -> None:
    """Return if a caller may do a kind of thing at all. Raises: MissingScope, naming the scope."""
    if scope in caller.scopes:
        return
    if scope not in SCOPES[caller.role]:
        raise MissingScope(
            scope, f"this needs the scope {scope.value!r}, which the role {caller.role.value!r} does not have"
        )
    raise MissingScope(scope, f"this needs the scope {scope.value!r}, which this token does not have")


def require_own_tokens(caller: Caller) -> None:
    """Return if a caller may make and revoke tokens of its own account.

    Any account may, a viewer's too. A token that was narrowed to some scopes may only with `write`
    among them, or it could end the account's other tokens.

    Raises:
        Forbidden: the caller's own token is any token.
        MissingScope: the token was narrowed, and not to this.
    """
    require_someone(caller)
    scopes = caller.token.scopes if caller.token is not None else None
    if scopes is not None and Scope.WRITE not in scopes:
        raise MissingScope(
            Scope.WRITE, f"this needs the scope {Scope.WRITE.value!r}, which this token does not have"
        )


def handed_on(caller: Caller, wanted: Collection[Scope] | None) -> tuple[Scope, ...] | None:
    """Return the scopes of a token or client that a caller makes for its own account.

    Raises:
        MissingScope: more than the caller itself has.
    """
    if wanted is None:
        return caller.token.scopes if caller.token is not None else None
    for scope in wanted:
        require_scope(caller, scope)
    return tuple(scope for scope in Scope if scope in wanted)
