"""Who a request comes from, and the tokens of accounts."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from qrt_contracts.faults import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    Overloaded,
)
from qrt_contracts.ids import new_id
from qrt_gateway.domain.accounts import (
    Caller,
    Client,
    Token,
    digest_of,
    new_secret,
    require_someone,
    require_valid,
)
from qrt_gateway.domain.rates import Rates
from qrt_gateway.ports import AccountStore, Clock

MEMORY_SECONDS = 5.0
"""How long a revocation at another gateway may go unnoticed here."""
MEMORY_SIZE = 10_000
MAX_TOKENS = 1_000
"""Tokens of one account, revoked ones included."""

_SECRET = re.compile(r"[!-~]{1,512}")


@dataclass(frozen=True, slots=True)
class _Known:
    token: Token
    caller: Caller
    until: float


class Accounts:
    """Authenticates callers and keeps accounts and tokens."""

    def __init__(
        self,
        store: AccountStore,
        *,
        clock: Clock,
        monotonic: Callable[[], float],
        rates: Rates | None = None,
        anyone: Caller | None = None,
    ) -> None:
        """Take a store; `anyone` is who an unknown token stands for, where any is taken."""
        self._anyone = anyone
        self._rates = rates
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Lock] = {}
        self._revocations = 0

    async def authenticate(self, secret: str) -> Caller:
        """Return whose token `secret` is.

        Raises:
            NotAuthenticated: it is malformed, unknown, expired or revoked; the text says which.
            Overloaded: it asks more often than it may.
        """
        if not _SECRET.fullmatch(secret):
            raise NotAuthenticated("the token is malformed: it must be printable ASCII without spaces")
        return await self.authenticate_digest(digest_of(secret))

    async def authenticate_digest(self, digest: str) -> Caller:
        """Return whose the token of a digest is; it raises the same."""
        known = self._remembered(digest) or await self._ask(digest)
        require_valid(known.token, now=self._clock())
        if self._rates and (seconds := self._rates.take(digest, self._monotonic())):
            raise Overloaded("this token sends too many requests", retry_after_seconds=seconds)
        return known.caller

    async def ensure(self, accounts: Sequence[tuple[str, str]]) -> None:
        """Make these (account, token) pairs if they are absent; the first is an administrator."""
        for position, (name, secret) in enumerate(accounts):
            await self._store.add_account(Caller(name, admin=position == 0), now=self._clock())
            await self._store.add_token(self._new_token(name, secret, label="bootstrap"))

    async def create_account(self, caller: Caller, *, name: str, admin: bool) -> tuple[Token, str]:
        """Create an account; return its first token and that token's text.

        Raises:
            Forbidden: the caller is no administrator.
            Conflict: the name is taken.
        """
        if not caller.admin:
            raise Forbidden("only administrators create accounts")
        if not await self._store.add_account(Caller(name, admin), now=self._clock()):
            raise Conflict(f"there is an account named {name!r} already", field="name")
        return await self._issue(name, label="first token")

    async def create_token(
        self, caller: Caller, *, name: str, expires_at: datetime | None
    ) -> tuple[Token, str]:
        """Give the caller's account another token; return it and its text.

        Raises:
            Forbidden: the caller's own token is any token.
            InvalidRequest: it would expire in the past.
            Conflict: the account has as many as it may.
        """
        require_someone(caller)
        if expires_at is not None and expires_at.tzinfo is None:
            raise InvalidRequest("expires_at needs a time zone, such as Z", field="expires_at")
        if expires_at is not None and expires_at <= self._clock():
            raise InvalidRequest("expires_at is in the past", field="expires_at")
        if len(await self._store.tokens(caller.name)) >= MAX_TOKENS:
            raise Conflict(f"an account can have {MAX_TOKENS} tokens")
        return await self._issue(caller.name, label=name, expires_at=expires_at)

    async def tokens(self, caller: Caller) -> list[Token]:
        """Return the caller's tokens, oldest first."""
        return await self._store.tokens(caller.name)

    async def revoke(self, caller: Caller, token_id: str) -> None:
        """End one of the caller's tokens: here at once, at other gateways within `MEMORY_SECONDS`.

        Raises:
            NotFound: the caller has no such token.
        """
        for token in await self._store.tokens(caller.name):
            if token.id == token_id:
                await self._store.revoke(token.digest, now=self._clock())
                self._revocations += 1
                self._known.pop(token.digest, None)
                return
        raise NotFound(f"you have no token {token_id}")

    async def issue_to(self, client: Client, *, expires_at: datetime) -> str:
        """Give a client a token of its account; return its text."""
        secret = new_secret()
        token = self._new_token(client.account, secret, label=client.name)
        await self._store.add_token(replace(token, client=client.id, expires_at=expires_at))
        return secret

    def forget_client(self, client_id: str) -> None:
        """Look a client's tokens up anew: it was revoked."""
        self._revocations += 1
        for digest in [each for each, known in self._known.items() if known.token.client == client_id]:
            del self._known[digest]

    async def _issue(
        self, account: str, *, label: str, expires_at: datetime | None = None
    ) -> tuple[Token, str]:
        secret = new_secret()
        token = replace(self._new_token(account, secret, label=label), expires_at=expires_at)
        if not await self._store.add_token(token):
            raise RuntimeError("two tokens with one digest")
        return token, secret

    def _new_token(self, account: str, secret: str, *, label: str) -> Token:
        return Token(
            digest=digest_of(secret), id=new_id(), name=label, account=account, created_at=self._clock()
        )

    def _any_token(self, digest: str, anyone: Caller) -> Token:
        return Token(digest=digest, id=new_id(), name="any", account=anyone.name, created_at=self._clock())

    def _remembered(self, digest: str) -> _Known | None:
        known = self._known.get(digest)
        if known is None or known.until <= self._monotonic():
            return None
        return known

    async def _ask(self, digest: str) -> _Known:
        """Look a token up, once for all the requests that arrive with it meanwhile."""
        lock = self._asking.setdefault(digest, asyncio.Lock())
        try:
            async with lock:
                return self._remembered(digest) or await self._look_up(digest)
        finally:
            if not lock.locked():
                self._asking.pop(digest, None)

    async def _look_up(self, digest: str) -> _Known:
        self._known.pop(digest, None)
        before = self._revocations
        token = await self._store.token(digest)
        caller = await self._store.account(token.account) if token else None
        if (token is None or caller is None) and self._anyone is not None:
            token, caller = self._any_token(digest, self._anyone), self._anyone
        if token is None or caller is None:
            raise NotAuthenticated("this token is not known here")
        known = _Known(token, caller, self._monotonic() + MEMORY_SECONDS)
        if before == self._revocations:  # otherwise what was read may be older than a revocation
            self._known[digest] = known
        while len(self._known) > MEMORY_SIZE:
            self._known.popitem(last=False)
        return known
