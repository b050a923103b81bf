"""Accounts and tokens in MongoDB, database `gateway`.

| collection | _id | what |
|---|---|---|
| accounts | name | the account, with the groups it is in |
| groups | name | since when there is the group |
| tokens | sha256 of the token | whose it is, until when; never its text |
| credentials | account:cloud | the account's token for a service outside, sealed |
| clients | id | whose OAuth2 client it is, the sha256 of its secret |
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from qrt_chassis.store import Store, keep_index
from qrt_contracts.rights import Role, Scope
from qrt_gateway.domain.accounts import Account, Client, Group, Token
from qrt_gateway.domain.credentials import Credential

_FIELDS = ("id", "name", "account", "created_at", "expires_at", "revoked_at")
_CLIENT_FIELDS = ("digest", "name", "account", "created_at", "revoked_at")


class MongoAccounts:
    """The `AccountStore`, `DirectoryStore` and `CredentialStore` ports."""

    def __init__(self, store: Store) -> None:
        database = store.database("gateway")
        self._accounts = database["accounts"]
        self._groups = database["groups"]
        self._tokens = database["tokens"]
        self._credentials = database["credentials"]
        self._clients = database["clients"]

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat, by several replicas at once."""
        await keep_index(self._accounts, "groups")
        await keep_index(self._tokens, "account")
        await keep_index(self._tokens, "client", sparse=True)
        await keep_index(self._clients, "account")

    async def add_account(self, account: Account) -> bool:
        """Store a new account; False if its name is taken."""
        document = {
            "_id": account.name,
            **_standing(account.role, disabled=account.disabled),
            "groups": list(account.groups),
            "created_at": account.created_at,
        }
        try:
            await self._accounts.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def account(self, name: str) -> Account | None:
        """Return an account."""
        found = await self._accounts.find_one({"_id": name})
        return _account(found) if found else None

    async def any_account(self) -> bool:
        """Tell whether there is an account."""
        return await self._accounts.find_one({}, {"_id": 1}) is not None

    async def accounts(self, *, after: str, limit: int) -> list[Account]:
        """Return up to `limit` accounts with names above `after`, by name."""
        found = self._accounts.find({"_id": {"$gt": after}}).sort("_id", 1).limit(limit)
        return [_account(each) async for each in found]

    async def names(self, among: Collection[str]) -> set[str]:
        """Return which of these names are those of accounts."""
        return {each["_id"] async for each in self._accounts.find({"_id": {"$in": list(among)}}, {"_id": 1})}

    async def change_account(self, name: str, *, role: Role, disabled: bool) -> bool:
        """Set an account's role and whether it is disabled; False if there is none."""
        result = await self._accounts.update_one({"_id": name}, {"$set": _standing(role, disabled=disabled)})
        return bool(result.matched_count)

    async def administrators(self) -> list[str]:
        """Return the names of the administrators that are not disabled."""
        found = self._accounts.find({"admin": True}, {"disabled": 1})
        return [each["_id"] async for each in found if not each.get("disabled")]

    async def add_group(self, group: Group) -> bool:
        """Store a new group; False if its name is taken."""
        try:
            await self._groups.insert_one({"_id": group.name, "created_at": group.created_at})
        except DuplicateKeyError:
            return False
        return True

    async def group(self, name: str) -> Group | None:
        """Return a group."""
        found = await self._groups.find_one({"_id": name})
        return _group(found) if found else None

    async def groups(self, names: Collection[str] | None = None) -> list[Group]:
        """Return these groups, or all, by name."""
        query = {} if names is None else {"_id": {"$in": list(names)}}
        return sorted([_group(each) async for each in self._groups.find(query)], key=lambda each: each.name)

    async def delete_group(self, name: str) -> bool:
        """Forget a group, and who is in it; False if there is none."""
        result = await self._groups.delete_one({"_id": name})
        await self._accounts.update_many({"groups": name}, {"$pull": {"groups": name}})
        return bool(result.deleted_count)

    async def members(self, names: Collection[str]) -> dict[str, list[str]]:
        """Return the names of the accounts in each of these groups, sorted."""
        found: dict[str, list[str]] = {name: [] for name in names}
        async for each in self._accounts.find({"groups": {"$in": list(names)}}, {"groups": 1}):
            for name in found.keys() & set(each["groups"]):
                found[name].append(each["_id"])
        return {name: sorted(members) for name, members in found.items()}

    async def join(self, account: str, group: str) -> bool:
        """Put an account into a group, where it may be already; False if there is no such account."""
        result = await self._accounts.update_one({"_id": account}, {"$addToSet": {"groups": group}})
        return bool(result.matched_count)

    async def leave(self, account: str, group: str) -> bool:
        """Take an account out of a group, if it is in it; False if there is no such account."""
        result = await self._accounts.update_one({"_id": account}, {"$pull": {"groups": group}})
        return bool(result.matched_count)

    async def add_token(self, token: Token) -> bool:
        """Store a new token; False if its digest is taken."""
        document = {"_id": token.digest} | {name: getattr(token, name) for name in _FIELDS}
        if token.client is not None:
            document["client"] = token.client
        if token.scopes is not None:
            document["scopes"] = list(token.scopes)
        if token.requests_per_second is not None:
            document["requests_per_second"] = token.requests_per_second
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

    async def used(self, digest: str, *, at: datetime) -> None:
        """Note when a token was used last."""
        await self._tokens.update_one({"_id": digest}, {"$set": {"last_used_at": at}})

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
        document = {"_id": client.id} | {name: getattr(client, name) for name in _CLIENT_FIELDS}
        if client.scopes is not None:
            document["scopes"] = list(client.scopes)
        await self._clients.insert_one(document)

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


def _standing(role: Role, *, disabled: bool) -> dict[str, Any]:
    # `admin` is what the previous release reads.
    return {"role": role.value, "admin": role is Role.ADMIN, "disabled": disabled}


def _account(document: dict[str, Any]) -> Account:
    role = document.get("role") or (Role.ADMIN if document["admin"] else Role.USER)
    return Account(
        name=document["_id"],
        role=Role(role),
        groups=tuple(sorted(document.get("groups") or ())),
        disabled=bool(document.get("disabled")),
        created_at=document["created_at"],
    )


def _group(document: dict[str, Any]) -> Group:
    return Group(name=document["_id"], created_at=document["created_at"])


def _token(document: dict[str, Any]) -> Token:
    fields = {name: document[name] for name in _FIELDS}
    return Token(
        digest=document["_id"],
        client=document.get("client"),
        scopes=_scopes(document),
        last_used_at=document.get("last_used_at"),
        requests_per_second=document.get("requests_per_second"),
        **fields,
    )


def _client(document: dict[str, Any]) -> Client:
    fields = {name: document[name] for name in _CLIENT_FIELDS}
    return Client(id=document["_id"], scopes=_scopes(document), **fields)


def _scopes(document: dict[str, Any]) -> tuple[Scope, ...] | None:
    named = document.get("scopes")
    return None if named is None else tuple(map(Scope, named))
