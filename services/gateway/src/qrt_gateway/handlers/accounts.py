"""`/v1/account`, `/v1/accounts`, `/v1/tokens`."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api import (
    CreateAccountRequest,
    CreateTokenRequest,
    TokenIssued,
    TokenList,
    TokenView,
    WhoAmI,
)
from qrt_gateway.domain.accounts import Caller, Token
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.reading import body_as, id_of
from qrt_gateway.handlers.resource import Parts, json, resource


def routes(parts: Parts) -> list[Route]:
    """Return the routes of accounts and tokens."""
    return [
        resource(parts, "/v1/account", get=who_am_i),
        resource(parts, "/v1/accounts", post=create_account),
        resource(parts, "/v1/tokens", get=list_tokens, post=create_token),
        resource(parts, "/v1/tokens/{id}", delete=revoke),
    ]


@described({200: WhoAmI})
async def who_am_i(_: Parts, __: Request, caller: Caller) -> Response:
    """Tell whose token the request carries."""
    return json(WhoAmI(name=caller.name, admin=caller.admin))


@described({201: TokenIssued}, body=CreateAccountRequest, refuses=(403, 409))
async def create_account(parts: Parts, request: Request, caller: Caller) -> Response:
    """Create an account and its first token."""
    wanted = await body_as(request, CreateAccountRequest, limit=parts.max_body_bytes)
    token, secret = await parts.accounts.create_account(caller, name=wanted.name, admin=wanted.admin)
    return json(_issued(token, secret), status=201)


@described({200: TokenList})
async def list_tokens(parts: Parts, _: Request, caller: Caller) -> Response:
    """List the caller's tokens, without their secrets."""
    return json(TokenList(tokens=tuple(map(_view, await parts.accounts.tokens(caller)))))


@described({201: TokenIssued}, body=CreateTokenRequest, refuses=(403, 409))
async def create_token(parts: Parts, request: Request, caller: Caller) -> Response:
    """Give the caller another token."""
    wanted = await body_as(request, CreateTokenRequest, limit=parts.max_body_bytes)
    token, secret = await parts.accounts.create_token(caller, name=wanted.name, expires_at=wanted.expires_at)
    return json(_issued(token, secret), status=201, location=f"/v1/tokens/{token.id}")


@described({204: "It is revoked."})
async def revoke(parts: Parts, request: Request, caller: Caller) -> Response:
    """End one of the caller's tokens."""
    await parts.accounts.revoke(caller, id_of(request.path_params["id"], what="token"))
    return Response(status_code=204)


def _view(token: Token) -> TokenView:
    return TokenView(**{name: getattr(token, name) for name in TokenView.model_fields})


def _issued(token: Token, secret: str) -> TokenIssued:
    return TokenIssued(**_view(token).model_dump(), token=secret)
