"""A gateway that takes any token for a known one: loud about it, and deaf to what comes by another name.

A web page of somebody else can make its own host name lead to loopback and ask as if it were the same
site; what it cannot do is to ask by a name that means loopback.
"""

import logging

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qrt_contracts.faults import Forbidden
from qrt_gateway.handlers.problems import answer

log = logging.getLogger(__name__)

HEADER = "x-runtime-warning"
WARNING = "any token is accepted here: for local development only"
_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", ""})


class AnyToken:
    """The outermost application of such a gateway."""

    def __init__(self, app: ASGIApp, *, account: str) -> None:
        self._app = app
        log.warning("ANY TOKEN IS ACCEPTED and stands for the account %r: local development only", account)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the warning in its answer."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                MutableHeaders(scope=message)[HEADER] = WARNING
            await send(message)

        if _name_in(Headers(scope=scope).get("host", "")) in _NAMES:
            await self._app(scope, receive, send_on)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            refusal = answer(Forbidden("while any token is accepted, ask this gateway as localhost"))
            await refusal(scope, receive, send_on)


def _name_in(host: str) -> str:
    """Return the header Host without its port."""
    if host.startswith("["):
        return host[: host.find("]") + 1].lower()
    return host.partition(":")[0].lower()
