"""OAuth2 clients of accounts, and the short-lived tokens they get for their secrets (RFC 6749, 4.4)."""

import hmac
from datetime import datetime, timedelta

from qrt_chassis.bounded import Bounded
from qrt_contracts.faults import Conflict, NotAuthenticated, NotFound
from qrt_contracts.ids import new_id
from qrt_gateway.domain.accounts import (
    Caller,
    Client,
    Refused,
    digest_of,
    handed_on,
    new_secret,
    require_someone,
)
from qrt_gateway.ports import AccountStore, Clock
from qrt_gateway.service.accounts import Accounts

LIFETIME = timedelta(hours=1)
"""Of a token. Published clients ask for the next one 120 s before its end."""
MAX_CLIENTS = 1_000
"""Clients of one account, revoked ones included."""
REMEMBERED = 10_000


class Clients:
    """Keeps clients and gives them tokens.

    A token is given out again until half of its life is over, so that a client which asks before each
    request leaves few behind; those that have expired go when the next one is made.
    """

    def __init__(self, store: AccountStore, accounts: Accounts, *, clock: Clock) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._given: Bounded[str, tuple[str, datetime]] = Bounded(REMEMBERED)

    async def create(self, caller: Caller, *, name: str) -> tuple[Client, str]:
        """Give the caller's account a client; return it and its secret.

        Raises:
            Forbidden: the caller's own token is any token.
            Conflict: the account has as many as it may.
        """
        require_someone(caller)
        if len(await self._store.clients(caller.name)) >= MAX_CLIENTS:
            raise Conflict(f"an account can have {MAX_CLIENTS} clients")
        secret = new_secret()
        client = Client(
            id=new_id(),
            digest=digest_of(secret),
            name=name,
            account=caller.name,
            created_at=self._clock(),
            scopes=handed_on(caller, None),
        )
        await self._store.add_client(client)
        return client, secret

    async def list(self, caller: Caller) -> list[Client]:
        """Return the caller's clients, oldest first."""
        return await self._store.clients(caller.name)

    async def revoke(self, caller: Caller, client_id: str) -> None:
        """End one of the caller's clients and its tokens, like `Accounts.revoke` does one token.

        Raises:
            NotFound: the caller has no such client.
        """
        client = await self._store.client(client_id)
        if client is None or client.account != caller.name:
            raise NotFound(f"you have no client {client_id}")
        await self._store.revoke_client(client_id, now=self._clock())
        self._given.pop(client_id, None)
        self._accounts.forget_client(client_id)

    async def token(self, client_id: str, secret: str) -> tuple[str, str, int]:
        """Return the account of a client, a token for its secret, and the whole seconds it is good for.

        Raises:
            NotAuthenticated: there is no such client, it is revoked, or this is not its secret.
        """
        client, now = await self._store.client(client_id), self._clock()
        right = client is not None and hmac.compare_digest(client.digest, digest_of(secret))
        if client is None or not right or client.revoked_at is not None:
            detail = "there is no client of this id and secret, or it was revoked"
            raise NotAuthenticated(detail) if client is None else Refused(detail, account=client.account)
        account = await self._store.account(client.account)
        if account is None or account.disabled:
            raise Refused("the account of this client is disabled", account=client.account)
        text, until = self._given.get(client_id, ("", now))
        if until - now < LIFETIME / 2:
            await self._store.forget_tokens(client_id, before=now)
            until = now + LIFETIME
            text = await self._accounts.issue_to(client, expires_at=until)
            self._given[client_id] = (text, until)
        return client.account, text, int((until - now).total_seconds())
