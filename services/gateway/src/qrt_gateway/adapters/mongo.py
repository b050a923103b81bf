"""Accounts and tokens in MongoDB, database `gateway`.

| collection | _id | what |
|---|---|---|
| accounts | name | the account |
| tokens | sha256 of the token | whose it is, until when; never its text |
| credentials | account:cloud | the account's token for a service outside, sealed |
| clients | id | whose OAuth2 client it is, the sha256 of its secret |
"""

from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from qrt_chassis.store import Store
from qrt_gateway.domain.accounts import Caller, Client, Token
from qrt_gateway.domain.credentials import Credential

_FIELDS = ("id", "name", "account", "created_at", "expires_at", "revoked_at")
_CLIENT_FIELDS = ("digest", "name", "account", "created_at", "revoked_at")


class MongoAccounts:
    """The `AccountStore` and `CredentialStore` ports."""

    def __init__(self, store: Store) -> None:
        database = store.database("gateway")
        self._accounts = database["accounts"]
        self._tokens = database["tokens"]
        self._credentials = database["credentials"]
        self._clients = database["clients"]

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat, by several replicas at once."""
        await self._tokens.create_index("account")
        await self._tokens.create_index("client", sparse=True)
        await self._clients.create_index("account")

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
        if token.client is not None:
            document["client"] = token.client
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
        """Return the tokens that an account's people made, oldest first."""
        made = {"account": account, "client": {"$exists": False}}
        found = [_token(each) async for each in self._tokens.find(made)]
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

    async def add_client(self, client: Client) -> None:
        """Store a new client."""
        fields = {name: getattr(client, name) for name in _CLIENT_FIELDS}
        await self._clients.insert_one({"_id": client.id} | fields)

    async def client(self, client_id: str) -> Client | None:
        """Return a client by its id."""
        found = await self._clients.find_one({"_id": client_id})
        return _client(found) if found else None

    async def clients(self, account: str) -> list[Client]:
        """Return an account's clients, oldest first."""
        found = [_client(each) async for each in self._clients.find({"account": account})]
        return sorted(found, key=lambda client: client.id)

    async def revoke_client(self, client_id: str, *, now: datetime) -> None:
        """Mark a client and every token it was given as revoked."""
        revoked = {"$set": {"revoked_at": now}}
        # The client first: whoever asks for a token in between must not be given another one.
        await self._clients.update_one({"_id": client_id, "revoked_at": None}, revoked)
        await self._tokens.update_many({"client": client_id, "revoked_at": None}, revoked)

    async def forget_tokens(self, client_id: str, *, before: datetime) -> None:
        """Remove a client's tokens that expired before a moment."""
        await self._tokens.delete_many({"client": client_id, "expires_at": {"$lt": before}})


def _credential_id(account: str, cloud: str) -> str:
    return f"{account}:{cloud}"  # neither name can hold a colon


def _token(document: dict[str, Any]) -> Token:
    fields = {name: document[name] for name in _FIELDS}
    return Token(digest=document["_id"], client=document.get("client"), **fields)


def _client(document: dict[str, Any]) -> Client:
    return Client(id=document["_id"], **{name: document[name] for name in _CLIENT_FIELDS})
