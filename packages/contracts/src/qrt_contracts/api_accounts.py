"""The native surface's shapes of accounts, tokens, groups, clients and the audit log.

See `qrt_contracts.api` for the rules.
"""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from qrt_contracts.api import _Request, _View
from qrt_contracts.rights import Role, Scope

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$"

AccountName = Annotated[str, StringConstraints(pattern=_NAME)]
"""A letter or a digit, then up to 63 letters, digits and `_.@-`."""

GroupName = Annotated[str, StringConstraints(pattern=_NAME)]
"""Like an account's name."""

MAX_GROUPS = 100
"""Groups that one account can be in, or that one program or job is shared with."""

Scopes = Annotated[tuple[Scope, ...], Field(min_length=1, max_length=len(Scope))]


class CreateAccountRequest(_Request):
    """`POST /v1/accounts`, administrators only. The answer is a `TokenIssued`, the account's first."""

    name: AccountName
    role: Role | None = None
    """`user` unless it is said."""
    admin: bool = False
    """An older way to say `"role": "admin"`."""
    groups: Annotated[tuple[GroupName, ...], Field(max_length=MAX_GROUPS)] = ()
    """Existing groups that the account is in from the beginning."""

    @model_validator(mode="after")
    def _one_role(self) -> Self:
        if self.admin and self.role not in (None, Role.ADMIN):
            raise ValueError("admin means the role admin: give one of the two")
        return self

    @property
    def wanted_role(self) -> Role:
        """The role, however it was said."""
        return self.role or (Role.ADMIN if self.admin else Role.USER)


class UpdateAccountRequest(_Request):
    """`PATCH /v1/accounts/{name}`; what is absent stays as it is."""

    role: Role | None = None
    disabled: bool | None = None
    """The tokens of a disabled account are refused; its jobs run on."""


class AccountView(_View):
    """An account."""

    name: str
    role: Role
    groups: tuple[str, ...]
    disabled: bool
    created_at: datetime


class AccountList(_View):
    """`GET /v1/accounts`, by name. `next_cursor` is null on the last page."""

    accounts: tuple[AccountView, ...]
    next_cursor: str | None


class CreateTokenRequest(_Request):
    """`POST /v1/tokens`: another token for the caller's own account, or `/v1/accounts/{name}/tokens`."""

    name: str = Field(default="token", min_length=1, max_length=128)
    scopes: Scopes | None = None
    """What it may do, of what its account may. Null is all of that, or what the asking token may."""
    expires_at: datetime | None = None
    requests_per_second: float | None = Field(default=None, ge=0.001, allow_inf_nan=False)
    """How often it may ask; null is what the operator allows every token, the most there is."""


class TokenView(_View):
    """A token without its secret."""

    id: str
    name: str
    account: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    scopes: tuple[Scope, ...] | None = None
    """Null: all that its account may do."""
    last_used_at: datetime | None = None
    """To about a minute; null before the first use."""
    requests_per_second: float | None = None


class TokenIssued(TokenView):
    """A new token. `token` is shown this once; only its hash is stored."""

    token: str


class TokenList(_View):
    """`GET /v1/tokens`, the caller's own, and `GET /v1/accounts/{name}/tokens`; oldest first."""

    tokens: tuple[TokenView, ...]


class CreateGroupRequest(_Request):
    """`POST /v1/groups`, administrators only."""

    name: GroupName


class GroupView(_View):
    """A group of accounts, to share programs and jobs with."""

    name: str
    members: tuple[str, ...]
    created_at: datetime


class GroupList(_View):
    """`GET /v1/groups`, by name: those the caller is in; all for administrators."""

    groups: tuple[GroupView, ...]


class SharesRequest(_Request):
    """`PUT /v1/jobs/{id}/shares`: who may read the job from now on, besides its owner."""

    groups: Annotated[tuple[GroupName, ...], Field(max_length=MAX_GROUPS)] = ()
    """Groups that the caller is in."""
    accounts: Annotated[tuple[AccountName, ...], Field(max_length=MAX_GROUPS)] = ()


class CreateClientRequest(_Request):
    """`POST /v1/clients`: an OAuth2 client of the caller's own account, for programs that ask `/token`."""

    name: str = Field(default="client", min_length=1, max_length=128)


class ClientView(_View):
    """An OAuth2 client without its secret."""

    id: str
    name: str
    account: str
    created_at: datetime
    revoked_at: datetime | None = None


class ClientIssued(ClientView):
    """A new client. `secret` is shown this once; only its hash is stored."""

    secret: str


class ClientList(_View):
    """`GET /v1/clients`: the caller's own."""

    clients: tuple[ClientView, ...]


class CurrentToken(_View):
    """The token that a request carries."""

    id: str
    name: str
    expires_at: datetime | None


class WhoAmI(_View):
    """`GET /v1/account`."""

    name: str
    role: Role
    admin: bool
    """The role is `admin`; whether this token may act so is said by `scopes`."""
    groups: tuple[str, ...]
    scopes: tuple[Scope, ...]
    """What the request's token may do."""
    token: CurrentToken | None
    """Null where any token is taken."""


class AuditEntry(_View):
    """One thing that an account did or was refused."""

    id: str
    at: datetime
    account: str
    token: str | None
    """Id of the token it was asked with."""
    action: str
    """Method and route, such as `POST /v1/jobs/{id}/cancel`."""
    resource: str
    """The path that was asked for."""
    outcome: str
    """`ok`, or the code of the problem it was answered with, such as `Forbidden`."""
    address: str | None
    """Where the request came from."""
    request_id: str | None


class AuditLog(_View):
    """`GET /v1/audit`, newest first. `next_cursor` is null on the last page."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None
