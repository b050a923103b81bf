"""The token of a request, wherever its client keeps it."""

from starlette.datastructures import Headers

from qrt_contracts.faults import NotAuthenticated

HEADERS = ("api_token", "apitoken", "api-token", "x-auth-token")
"""Headers that Quafu and Kipu clients send a bare token in, besides `Authorization: Bearer`."""


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
