"""Who a request comes from, and whether that one may ask at all: the same for every surface."""

from collections.abc import Awaitable

from qrt_contracts.rights import Scope
from qrt_gateway.domain.accounts import Caller, require_scope


async def admitted(asking: Awaitable[Caller], *scopes: Scope) -> Caller:
    """Return who a request comes from, if its token has all these scopes.

    Raises:
        MissingScope: it may not do this.
        Whatever `asking` raises, which finds out who it is.
    """
    caller = await asking
    for scope in scopes:
        require_scope(caller, scope)
    return caller
