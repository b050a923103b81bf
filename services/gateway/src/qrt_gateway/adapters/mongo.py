"""Accounts and tokens in MongoDB, database `gateway`.

| collection | _id | what |
|---|---|---|
| accounts | name | the account |
| tokens | sha256 of the token | whose it is, until when; never its text |
| credentials | account:cloud | the account's token for a service outside, sealed |
"""

from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from qrt_chassis.store import Store
from qrt_gateway.domain.accounts import Caller, Token
from qrt_gateway.domain.credentials import Credential

_FIELDS = ("id", "name", "account", "created_at", "expires_at", "revoked_at")


class MongoAccounts:
    """The `AccountStore` and `CredentialStore` ports."""

    def __init__(self, store: Store) -> None:
        database = store.database("gateway")
        self._accounts = database["accounts"]
        self._tokens = database["tokens"]
        self._credentials = database["credentials"]

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat, by several replicas at once."""
        await self._tokens.create_index("account")

    async def add_account(self, account: Caller, *, now: datetime) -> bool:
        """Store a new account; False if its name is taken."""
        try:
            await self._accounts.insert_one({"_id": account.name, "admin": account.admin, "created_at": now})
        except DuplicateKeyError:
            return False
        return True

    async def account(self, name: str) -> Caller | None:
        """Return an account."""
        found = await self._accounts.find_one({"_id": name})
        return Caller(found["_id"], bool(found["admin"])) if found else None

    async def add_token(self, token: Token) -> bool:
        """Store a new token; False if its digest is taken."""
        document = {"_id": token.digest} | {name: getattr(token, name) for name in _FIELDS}
        try:
            await self._tokens.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def token(self, digest: str) -> Token | None:
        """Return a token by its digest."""
        found = await self._tokens.find_one({"_id": digest})
        return _token(found) if found else None

    async def tokens(self, account: str) -> list[Token]:
        """Return an account's tokens, oldest first."""
        found = [_token(each) async for each in self._tokens.find({"account": account})]
        return sorted(found, key=lambda token: token.id)

    async def revoke(self, digest: str, *, now: datetime) -> None:
        """Mark a token as revoked, unless it is already."""
        await self._tokens.update_one({"_id": digest, "revoked_at": None}, {"$set": {"revoked_at": now}})

    async def put_credential(self, credential: Credential) -> None:
        """Store a credential in place of an earlier one."""
        fields = {"sealed": credential.sealed, "updated_at": credential.updated_at}
        await self._credentials.update_one(
            {"_id": _credential_id(credential.account, credential.cloud)}, {"$set": fields}, upsert=True
        )

    async def credential(self, account: str, cloud: str) -> Credential | None:
        """Return an account's credential for a cloud."""
        found = await self._credentials.find_one({"_id": _credential_id(account, cloud)})
        return Credential(account, cloud, found["sealed"], found["updated_at"]) if found else None

    async def delete_credential(self, account: str, cloud: str) -> None:
        """Forget it, if it is there."""
        await self._credentials.delete_one({"_id": _credential_id(account, cloud)})


def _credential_id(account: str, cloud: str) -> str:
    return f"{account}:{cloud}"  # neither name can hold a colon


def _token(document: dict[str, Any]) -> Token:
    return Token(digest=document["_id"], **{name: document[name] for name in _FIELDS})
