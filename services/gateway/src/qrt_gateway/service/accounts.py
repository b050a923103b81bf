"""Who a request comes from, and the tokens of accounts."""

import asyncio
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from qrt_chassis.bounded import Bounded
from qrt_contracts.faults import Conflict, InvalidRequest, NotAuthenticated, NotFound, Overloaded
from qrt_contracts.ids import new_id
from qrt_contracts.rights import Role, Scope
from qrt_gateway.domain.accounts import (
    Account,
    Caller,
    Client,
    Token,
    caller_of,
    digest_of,
    handed_on,
    new_secret,
    require_enabled,
    require_own_tokens,
    require_valid,
)
from qrt_gateway.domain.rates import Rates
from qrt_gateway.ports import AccountStore, Clock

MEMORY_SECONDS = 5.0
"""How long a revocation, or a change of an account, at another gateway may go unnoticed here."""
MEMORY_SIZE = 10_000
USE_NOTED = timedelta(minutes=1)
"""How exactly is kept when a token was used last."""
NOTE_SECONDS = 1.0
FIRST = "admin"
"""The administrator made at the first start, where no account is configured."""
MAX_TOKENS = 1_000
"""Tokens of one account, revoked ones included."""

_SECRET = re.compile(r"[!-~]{1,512}")


@dataclass(frozen=True, slots=True)
class _Known:
    token: Token
    caller: Caller
    account: Account | None
    """None where any token is taken."""
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
        self._known: Bounded[str, _Known] = Bounded(MEMORY_SIZE)
        self._asking: dict[str, asyncio.Lock] = {}
        self._revocations = 0
        self._uses: dict[str, datetime] = {}
        """When tokens were used, by digest, as far as it is not stored yet."""

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
        if known.account is not None:
            require_enabled(known.account, known.token)
        own = known.token.requests_per_second
        if self._rates and (seconds := self._rates.take(digest, self._monotonic(), own=own)):
            raise Overloaded("this token sends too many requests", retry_after_seconds=seconds)
        return known.caller

    async def ensure(self, accounts: Sequence[tuple[str, str]]) -> None:
        """Make these (account, token) pairs if they are absent; the first is an administrator."""
        for position, (name, secret) in enumerate(accounts):
            role = Role.ADMIN if position == 0 else Role.USER
            await self._store.add_account(Account(name=name, role=role, created_at=self._clock()))
            await self._store.add_token(self._new_token(name, secret, label="bootstrap"))

    async def first_administrator(self) -> str | None:
        """Make an administrator if there is no account at all; return its token's text if this one made it.

        Of several gateways that start at once, one makes it.
        """
        if await self._store.any_account():
            return None
        secret = new_secret()
        token = self._new_token(FIRST, secret, label="first token")
        # The token first: an account without one would keep everybody out for good.
        await self._store.add_token(token)
        account = Account(name=FIRST, role=Role.ADMIN, created_at=self._clock())
        if await self._store.add_account(account):
            return secret
        await self._store.revoke(token.digest, now=self._clock())
        return None

    async def create_token(
        self,
        caller: Caller,
        *,
        name: str,
        scopes: Collection[Scope] | None = None,
        expires_at: datetime | None = None,
        requests_per_second: float | None = None,
    ) -> tuple[Token, str]:
        """Give the caller's account another token; return it and its text.

        Raises:
            Forbidden: the caller may make none, or none that may do this.
            InvalidRequest: it would expire in the past, or might ask more often than any token may.
            Conflict: the account has as many as it may.
        """
        require_own_tokens(caller)
        return await self.issue(
            caller.name,
            name=name,
            scopes=handed_on(caller, scopes),
            expires_at=expires_at,
            requests_per_second=requests_per_second,
        )

    async def issue(
        self,
        account: str,
        *,
        name: str,
        scopes: tuple[Scope, ...] | None = None,
        expires_at: datetime | None = None,
        requests_per_second: float | None = None,
    ) -> tuple[Token, str]:
        """Give an account another token; return it and its text. Raises: InvalidRequest, Conflict."""
        self._require_future(expires_at)
        self._require_slower(requests_per_second)
        if len(await self._store.tokens(account)) >= MAX_TOKENS:
            raise Conflict(f"an account can have {MAX_TOKENS} tokens")
        secret = new_secret()
        token = replace(
            self._new_token(account, secret, label=name),
            scopes=scopes,
            expires_at=expires_at,
            requests_per_second=requests_per_second,
        )
        if not await self._store.add_token(token):
            raise RuntimeError("two tokens with one digest")
        return token, secret

    async def tokens(self, account: str) -> list[Token]:
        """Return an account's tokens, oldest first."""
        found = await self._store.tokens(account)
        return [replace(each, last_used_at=self._uses.get(each.digest, each.last_used_at)) for each in found]

    async def revoke(self, caller: Caller, token_id: str) -> None:
        """End one of the caller's tokens: here at once, at other gateways within `MEMORY_SECONDS`.

        Raises:
            NotFound: the caller has no such token.
            Forbidden: the caller may end none but the one it asks with.
        """
        if caller.token is None or caller.token.id != token_id:
            require_own_tokens(caller)
        await self.end(caller.name, token_id)

    async def end(self, account: str, token_id: str) -> None:
        """End one of an account's tokens. Raises: NotFound."""
        for token in await self._store.tokens(account):
            if token.id == token_id:
                await self._store.revoke(token.digest, now=self._clock())
                self._revocations += 1
                self._known.pop(token.digest, None)
                return
        raise NotFound(f"the account {account!r} has no token {token_id}")

    def forget(self, account: str | None = None) -> None:
        """Look an account up anew, or all: it was changed."""
        self._revocations += 1
        for digest in [
            each for each, known in self._known.items() if account is None or known.caller.name == account
        ]:
            del self._known[digest]

    async def note_uses(self) -> None:
        """Store when tokens were used, for ever."""
        while True:
            uses, self._uses = self._uses, {}
            for digest, at in uses.items():
                await self._store.used(digest, at=at)
            await asyncio.sleep(NOTE_SECONDS)

    async def issue_to(self, client: Client, *, expires_at: datetime) -> str:
        """Give a client a token of its account; return its text."""
        secret = new_secret()
        token = self._new_token(client.account, secret, label=client.name)
        await self._store.add_token(
            replace(token, client=client.id, expires_at=expires_at, scopes=client.scopes)
        )
        return secret

    def forget_client(self, client_id: str) -> None:
        """Look a client's tokens up anew: it was revoked."""
        self._revocations += 1
        for digest in [each for each, known in self._known.items() if known.token.client == client_id]:
            del self._known[digest]

    def _require_future(self, expires_at: datetime | None) -> None:
        if expires_at is not None and expires_at.tzinfo is None:
            raise InvalidRequest("expires_at needs a time zone, such as Z", field="expires_at")
        if expires_at is not None and expires_at <= self._clock():
            raise InvalidRequest("expires_at is in the past", field="expires_at")

    def _require_slower(self, requests_per_second: float | None) -> None:
        most = self._rates.per_second if self._rates else None
        if requests_per_second is not None and most is not None and requests_per_second > most:
            raise InvalidRequest(
                f"requests_per_second is more than the {most:g} that any token may have here",
                field="requests_per_second",
            )

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
        account = await self._store.account(token.account) if token else None
        if token is not None and account is not None:
            caller = caller_of(account, token)
            self._note_use(token)
        elif self._anyone is not None:
            token, caller, account = self._any_token(digest, self._anyone), self._anyone, None
        else:
            raise NotAuthenticated("this token is not known here")
        known = _Known(token, caller, account, self._monotonic() + MEMORY_SECONDS)
        if before == self._revocations:  # otherwise what was read may be older than a revocation
            self._known[digest] = known
        return known

    def _note_use(self, token: Token) -> None:
        now = self._clock()
        if token.last_used_at is None or now - token.last_used_at >= USE_NOTED:
            self._uses[token.digest] = now
