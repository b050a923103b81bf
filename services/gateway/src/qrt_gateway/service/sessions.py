"""The web console's sessions: made for a token, ended with it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from qrt_chassis.bounded import Bounded
from qrt_contracts.faults import NotAuthenticated
from qrt_gateway.domain.accounts import Caller, digest_of
from qrt_gateway.domain.sessions import LIFETIME, Session, new_cookie
from qrt_gateway.ports import Clock, SessionStore
from qrt_gateway.service.accounts import Accounts

MEMORY_SECONDS = 5.0
"""How long an end at another gateway may go unnoticed here."""
MEMORY_SIZE = 1_000
SWEEP_SECONDS = 600.0
MAX_COOKIE = 128


@dataclass(frozen=True, slots=True)
class _Known:
    session: Session
    until: float


class Sessions:
    """Makes, finds and ends sessions."""

    def __init__(
        self,
        store: SessionStore,
        accounts: Accounts,
        *,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._monotonic = monotonic
        self._known: Bounded[str, _Known] = Bounded(MEMORY_SIZE)
        self._ends = 0

    async def begin(self, secret: str) -> tuple[str, Caller]:
        """Return the cookie of a new session for a token, and whose token it is.

        Raises:
            NotAuthenticated: the token is malformed, unknown, expired or revoked.
            Overloaded: it asks more often than it may.
        """
        caller = await self._accounts.authenticate(secret)
        cookie = new_cookie()
        session = Session(
            digest=digest_of(cookie), token=digest_of(secret), expires_at=self._clock() + LIFETIME
        )
        await self._store.add_session(session)
        return cookie, caller

    async def authenticate(self, cookie: str) -> Caller:
        """Return whose session a cookie is.

        Raises:
            NotAuthenticated: it has ended, or its token has.
            Overloaded: its token asks more often than it may.
        """
        session = await self._found(cookie)
        if session is None or session.expires_at <= self._clock():
            raise NotAuthenticated("this session has ended: sign in again")
        return await self._accounts.authenticate_digest(session.token)

    async def end(self, cookie: str) -> None:
        """End a session: here at once, at other gateways within `MEMORY_SECONDS`."""
        digest = digest_of(cookie)
        await self._store.end_session(digest)
        self._ends += 1
        self._known.pop(digest, None)

    async def sweep(self) -> None:
        """Forget sessions whose time is over, for ever."""
        while True:
            await self._store.forget_sessions(self._clock())
            await asyncio.sleep(SWEEP_SECONDS)

    async def _found(self, cookie: str) -> Session | None:
        if not 0 < len(cookie) <= MAX_COOKIE:
            return None
        digest = digest_of(cookie)
        known = self._known.get(digest)
        if known is not None and known.until > self._monotonic():
            return known.session
        before = self._ends
        session = await self._store.session(digest)
        if session is not None and before == self._ends:
            self._known[digest] = _Known(session, self._monotonic() + MEMORY_SECONDS)
        return session
