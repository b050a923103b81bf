"""`/v1/account`, `/v1/accounts`: who the caller is, and the accounts there are."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.api_accounts import (
    AccountList,
    AccountView,
    CreateAccountRequest,
    CurrentToken,
    TokenIssued,
    UpdateAccountRequest,
    WhoAmI,
)
from qrt_contracts.rights import Role, Scope
from qrt_gateway.domain.accounts import Account, Caller
from qrt_gateway.handlers.described import described
from qrt_gateway.handlers.reading import body_as, query_as
from qrt_gateway.handlers.resource import Parts, json, resource
from qrt_gateway.handlers.tokens import issued

ADMIN = (Scope.ADMIN,)


class ListQuery(BaseModel):
    """`GET /v1/accounts`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=500)
    cursor: str = Field(default="", max_length=64)


def routes(parts: Parts) -> list[Route]:
    """Return the routes of accounts."""
    return [
        resource(parts, "/v1/account", get=who_am_i),
        resource(parts, "/v1/accounts", get=list_accounts, post=create),
        resource(parts, "/v1/accounts/{name}", get=show, patch=update),
    ]


@described({200: WhoAmI}, scopes=())
async def who_am_i(_: Parts, __: Request, caller: Caller) -> Response:
    """Tell whose token the request carries, and what it may do."""
    token = caller.token
    current = token and CurrentToken(id=token.id, name=token.name, expires_at=token.expires_at)
    return json(
        WhoAmI(
            name=caller.name,
            role=caller.role,
            admin=caller.role is Role.ADMIN,
            groups=caller.groups,
            scopes=tuple(scope for scope in Scope if scope in caller.scopes),
            token=current,
        )
    )


@described({200: AccountList}, query=ListQuery, scopes=ADMIN)
async def list_accounts(parts: Parts, request: Request, _: Caller) -> Response:
    """List all accounts by name, for administrators."""
    query = query_as(request, ListQuery)
    found = await parts.directory.accounts(after=query.cursor, limit=query.limit + 1)
    page = found[: query.limit]
    more = len(found) > query.limit
    return json(AccountList(accounts=tuple(map(_view, page)), next_cursor=page[-1].name if more else None))


@described({201: TokenIssued}, body=CreateAccountRequest, refuses=(409,), scopes=ADMIN)
async def create(parts: Parts, request: Request, _: Caller) -> Response:
    """Create an account and its first token."""
    wanted = await body_as(request, CreateAccountRequest, limit=parts.max_body_bytes)
    account = await parts.directory.create(wanted.name, role=wanted.wanted_role, groups=wanted.groups)
    token, secret = await parts.accounts.issue(account.name, name="first token")
    return json(issued(token, secret), status=201, location=f"/v1/accounts/{account.name}")


@described({200: AccountView}, scopes=ADMIN)
async def show(parts: Parts, request: Request, _: Caller) -> Response:
    """Show an account, for administrators."""
    return json(_view(await parts.directory.account(request.path_params["name"])))


@described({200: AccountView}, body=UpdateAccountRequest, refuses=(409,), scopes=ADMIN)
async def update(parts: Parts, request: Request, _: Caller) -> Response:
    """Change an account's role, disable it or enable it again."""
    wanted = await body_as(request, UpdateAccountRequest, limit=parts.max_body_bytes)
    name = request.path_params["name"]
    return json(_view(await parts.directory.change(name, role=wanted.role, disabled=wanted.disabled)))


def _view(account: Account) -> AccountView:
    return AccountView(**{name: getattr(account, name) for name in AccountView.model_fields})
