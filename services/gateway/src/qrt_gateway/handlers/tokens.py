"""`/v1/tokens` and `/v1/accounts/{name}/tokens`: the caller's tokens, and those of any account."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api_accounts import CreateTokenRequest, TokenIssued, TokenList, TokenView
from qrt_contracts.faults import InvalidRequest
from qrt_contracts.rights import Scope
from qrt_gateway.domain.accounts import SCOPES, Account, Caller, Token, require_scope
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.reading import body_as, id_of
from qrt_gateway.handlers.resource import Parts, json, resource


def routes(parts: Parts) -> list[Route]:
    """Return the routes of tokens."""
    return [
        resource(parts, "/v1/tokens", get=list_own, post=create_own),
        resource(parts, "/v1/tokens/{id}", delete=revoke_own),
        resource(parts, "/v1/accounts/{name}/tokens", get=list_tokens, post=create),
        resource(parts, "/v1/accounts/{name}/tokens/{id}", delete=revoke),
    ]


@described({200: TokenList})
async def list_own(parts: Parts, _: Request, caller: Caller) -> Response:
    """List the caller's tokens, without their secrets."""
    return await _listed(parts, caller.name)


@described({201: TokenIssued}, body=CreateTokenRequest, refuses=(403, 409), scopes=())
async def create_own(parts: Parts, request: Request, caller: Caller) -> Response:
    """Give the caller another token, which can do no more than the one it asks with."""
    wanted = await body_as(request, CreateTokenRequest, limit=parts.max_body_bytes)
    token, secret = await parts.accounts.create_token(caller, **dict(wanted))
    return json(issued(token, secret), status=201, location=f"/v1/tokens/{token.id}")


@described({204: "It is revoked."}, refuses=(403,), scopes=())
async def revoke_own(parts: Parts, request: Request, caller: Caller) -> Response:
    """End one of the caller's tokens."""
    await parts.accounts.revoke(caller, _id(request))
    return Response(status_code=204)


@described({200: TokenList}, refuses=(403,), scopes=())
async def list_tokens(parts: Parts, request: Request, caller: Caller) -> Response:
    """List an account's tokens: the caller's own, or any account's for administrators."""
    if (account := await _other(parts, request, caller)) is not None:
        return await _listed(parts, account.name)
    require_scope(caller, Scope.READ)
    return await _listed(parts, caller.name)


@described({201: TokenIssued}, body=CreateTokenRequest, refuses=(403, 409), scopes=())
async def create(parts: Parts, request: Request, caller: Caller) -> Response:
    """Give an account another token: the caller's own, or any account's for administrators."""
    if (account := await _other(parts, request, caller)) is None:
        return await create_own(parts, request, caller)
    wanted = await body_as(request, CreateTokenRequest, limit=parts.max_body_bytes)
    _require_in_role(account, wanted.scopes)
    token, secret = await parts.accounts.issue(account.name, **dict(wanted))
    return json(issued(token, secret), status=201, location=f"/v1/accounts/{account.name}/tokens/{token.id}")


@described({204: "It is revoked."}, refuses=(403,), scopes=())
async def revoke(parts: Parts, request: Request, caller: Caller) -> Response:
    """End one of an account's tokens: the caller's own, or any account's for administrators."""
    if (account := await _other(parts, request, caller)) is None:
        return await revoke_own(parts, request, caller)
    await parts.accounts.end(account.name, _id(request))
    return Response(status_code=204)


def issued(token: Token, secret: str) -> TokenIssued:
    """Return what its owner sees of a new token."""
    return TokenIssued(**_view(token).model_dump(), token=secret)


async def _other(parts: Parts, request: Request, caller: Caller) -> Account | None:
    """Return the account in the path, None if it is the caller's own.

    Raises:
        MissingScope: it is another one, and the caller is no administrator.
        NotFound: there is no such account.
    """
    name: str = request.path_params["name"]
    if name == caller.name:
        return None
    require_scope(caller, Scope.ADMIN)
    return await parts.directory.account(name)


def _require_in_role(account: Account, scopes: tuple[Scope, ...] | None) -> None:
    for scope in scopes or ():
        if scope not in SCOPES[account.role]:
            raise InvalidRequest(
                f"the role {account.role.value!r} does not have the scope {scope.value!r}", field="scopes"
            )


async def _listed(parts: Parts, account: str) -> Response:
    return json(TokenList(tokens=tuple(map(_view, await parts.accounts.tokens(account)))))


def _id(request: Request) -> str:
    return id_of(request.path_params["id"], what="token")


def _view(token: Token) -> TokenView:
    return TokenView(**{name: getattr(token, name) for name in TokenView.model_fields})
