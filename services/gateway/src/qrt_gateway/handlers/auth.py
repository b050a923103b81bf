"""Who a request comes from: by its token, wherever its client keeps it, or by the console's cookie."""

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from qrt_contracts.faults import Forbidden, NotAuthenticated
from qrt_gateway.domain.accounts import Caller
from qrt_gateway.domain.addresses import Addresses
from qrt_gateway.domain.sessions import from_here
from qrt_gateway.service.accounts import Accounts
from qrt_gateway.service.sessions import Sessions

HEADERS = ("api_token", "apitoken", "api-token", "x-auth-token")
"""Headers that Quafu and Kipu clients send a bare token in, besides `Authorization: Bearer`."""
COOKIE = "qrt_console"
CONSOLE = "x-qrt-console"
"""What pages of other sites cannot add to a request without being asked about it first."""
_SAFE = ("GET", "HEAD")


class Callers:
    """Finds out who a request or a WebSocket of the native surface comes from."""

    def __init__(self, accounts: Accounts, sessions: Sessions, addresses: Addresses) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._addresses = addresses

    async def of(self, connection: HTTPConnection) -> Caller:
        """Return the caller: by the token, or by the cookie of a session where there is no token.

        Raises:
            NotAuthenticated: there is neither, or it is not valid.
            Forbidden: it is the cookie, in a request that another site's page could have made.
            Overloaded: the token asks more often than it may.
        """
        cookie = connection.cookies.get(COOKIE)
        if cookie is None or carries_token(connection.headers):
            return await self._accounts.authenticate(secret_of(connection.headers))
        self.require_own(connection)
        return await self._sessions.authenticate(cookie)

    def require_own(self, connection: HTTPConnection) -> None:
        """Return if a request that carries the cookie is of the console itself.

        Raises:
            Forbidden: a browser sends the cookie along with other sites' requests too.
        """
        scope = connection.scope
        if scope.get("method") in _SAFE:
            return
        base = self._addresses.base(connection.headers, scheme=scope["scheme"].replace("ws", "http"))
        if scope["type"] == "http" and connection.headers.get(CONSOLE) != "1":
            raise Forbidden("with the console's cookie, send the header X-QRT-Console: 1; or send a token")
        if not from_here(connection.headers, base):
            raise Forbidden("the console's cookie counts only for requests of this very address")


def carries_token(headers: Headers) -> bool:
    """Tell whether a request names a token, well-formed or not."""
    return "authorization" in headers or any(name in headers for name in HEADERS)


def secret_of(headers: Headers) -> str:
    """Return the token a request carries.

    Raises:
        NotAuthenticated: it carries none, or not in the right form; the text says which.
    """
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, secret = authorization.strip().partition(" ")
        if scheme.lower() == "bearer" and secret.strip():
            return secret.strip()
    for name in HEADERS:
        if secret := headers.get(name, "").strip():
            return secret
    if authorization is not None:
        raise NotAuthenticated("the header Authorization is malformed: it must be `Bearer <token>`")
    raise NotAuthenticated("there is no token: send the header `Authorization: Bearer <token>`")
