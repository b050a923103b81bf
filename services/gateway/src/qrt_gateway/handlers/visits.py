"""Requests as the audit log tells of them: who came, what was asked, how it ended; for every surface."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from qrt_chassis.logging import bound
from qrt_chassis.passing import is_passing
from qrt_contracts.faults import Forbidden, RuntimeFault
from qrt_contracts.ids import new_id
from qrt_contracts.rights import Scope
from qrt_gateway import metrics
from qrt_gateway.domain.accounts import Caller, Refused, require_scope
from qrt_gateway.domain.addresses import Addresses
from qrt_gateway.domain.audit import MAX_TEXT, Entry
from qrt_gateway.domain.rates import Rates
from qrt_gateway.ports import Clock
from qrt_gateway.service.audit import Audit

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing, except where a surface says that they do."""
REFUSALS_PER_SECOND = 1.0
REFUSALS_AT_ONCE = 100
"""Refusals of one token that are noted; more are counted only."""
RESOURCE = "qrt.resource"
"""Key of a request's ASGI scope: what it is about, where its path does not say it."""


class Visit:
    """One request or WebSocket."""

    def __init__(self, connection: HTTPConnection) -> None:
        self.connection = connection
        self.account: str | None = None
        self.token: str | None = None

    async def admit(self, asking: Awaitable[Caller], *scopes: Scope) -> Caller:
        """Return who a request comes from, if its token has all these scopes.

        Raises:
            MissingScope: it may not do this.
            Whatever `asking` raises, which finds out who it is.
        """
        caller = await asking
        self.known(caller)
        for scope in scopes:
            require_scope(caller, scope)
        return caller

    def known(self, caller: Caller) -> None:
        """Take note of who a request comes from."""
        self.account, self.token = caller.name, caller.token.id if caller.token else None


class Visits:
    """Carries requests out and notes those that change something, and those that are refused."""

    def __init__(self, audit: Audit, addresses: Addresses, *, clock: Clock) -> None:
        self._audit = audit
        self._addresses = addresses
        self._clock = clock
        self._refusals = Rates(per_second=REFUSALS_PER_SECOND, burst=REFUSALS_AT_ONCE)

    async def answered(
        self,
        connection: HTTPConnection,
        answer: Callable[[Visit], Awaitable[Response]],
        *,
        changes: bool | None = None,
    ) -> Response:
        """Return what `answer` does, which admits the caller; note it. It raises the same.

        `changes` tells whether it is to change something; None leaves that to the method.
        """
        visit = Visit(connection)
        if changes is None:
            changes = connection.scope["method"] not in SAFE
        try:
            response = await answer(visit)
        except Exception as error:
            self._failed(visit, error, changes=changes)
            raise
        if changes and visit.account is not None:
            outcome = "ok" if response.status_code < 400 else str(response.status_code)
            self._note(visit, outcome, made=response.headers.get("location"))
        return response

    async def admitted(self, connection: HTTPConnection, asking: Awaitable[Caller], *scopes: Scope) -> Caller:
        """Return who opens a WebSocket, or reads, like `Visit.admit`; a refusal is noted."""
        visit = Visit(connection)
        try:
            return await visit.admit(asking, *scopes)
        except Exception as error:
            self._failed(visit, error, changes=False)
            raise

    def _failed(self, visit: Visit, error: Exception, *, changes: bool) -> None:
        if isinstance(error, Refused):
            visit.account, visit.token = error.account, error.token
        if visit.account is None or not (changes or isinstance(error, Refused | Forbidden)):
            return
        if isinstance(error, Refused | Forbidden) and self._too_many(visit):
            metrics.AUDIT_DROPPED.inc()
            return
        if isinstance(error, RuntimeFault):
            self._note(visit, error.code)
        else:
            self._note(visit, "Unavailable" if is_passing(error) else "Internal")

    def _too_many(self, visit: Visit) -> bool:
        """Tell whether somebody who is refused goes on and on: the log must not be filled by it."""
        now = asyncio.get_running_loop().time()
        return bool(self._refusals.take(visit.token or visit.account or "", now))

    def _note(self, visit: Visit, outcome: str, *, made: str | None = None) -> None:
        scope, request_id = visit.connection.scope, bound("request_id")
        peer = scope.get("client")
        path = urlsplit(made).path if made else scope["path"]
        resource = f"{path} {scope[RESOURCE]}" if RESOURCE in scope else path
        entry = Entry(
            id=new_id(),
            at=self._clock(),
            account=visit.account or "",
            token=visit.token,
            action=f"{scope.get('method', 'WS')} {scope.get('qrt.route', path)}"[:MAX_TEXT],
            resource=resource[:MAX_TEXT],
            outcome=outcome,
            address=self._addresses.origin(visit.connection.headers, peer=peer[0] if peer else None),
            request_id=str(request_id) if request_id else None,
        )
        self._audit.note(entry)
