"""The gateway's stores in memory: accounts, groups and tokens, sessions, requests that start jobs."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from qrt_contracts.rights import Role
from qrt_gateway.domain.accounts import Account, Client, Group, Token
from qrt_gateway.domain.audit import Bucket, Wanted
from qrt_gateway.domain.credentials import Credential
from qrt_gateway.domain.posts import Post
from qrt_gateway.domain.sessions import Session


class MemoryAccounts:
    """The `AccountStore`, `DirectoryStore` and `CredentialStore` ports."""

    def __init__(self) -> None:
        self.known: dict[str, Account] = {}
        self.known_groups: dict[str, Group] = {}
        self.by_digest: dict[str, Token] = {}
        self.clients_by_id: dict[str, Client] = {}
        self.look_ups = 0
        self.credentials: dict[tuple[str, str], Credential] = {}

    async def add_account(self, account: Account) -> bool:
        return self.known.setdefault(account.name, account) is account

    async def account(self, name: str) -> Account | None:
        return self.known.get(name)

    async def any_account(self) -> bool:
        return bool(self.known)

    async def accounts(self, *, after: str, limit: int) -> list[Account]:
        return [self.known[name] for name in sorted(self.known) if name > after][:limit]

    async def names(self, among: Collection[str]) -> set[str]:
        return self.known.keys() & set(among)

    async def change_account(self, name: str, *, role: Role, disabled: bool) -> bool:
        self.known[name] = replace(self.known[name], role=role, disabled=disabled)
        return True

    async def administrators(self) -> list[str]:
        enabled = (each for each in self.known.values() if not each.disabled)
        return [each.name for each in enabled if each.role is Role.ADMIN]

    async def add_group(self, group: Group) -> bool:
        return self.known_groups.setdefault(group.name, group) is group

    async def group(self, name: str) -> Group | None:
        return self.known_groups.get(name)

    async def groups(self, names: Collection[str] | None = None) -> list[Group]:
        wanted = self.known_groups if names is None else names
        return [self.known_groups[name] for name in sorted(self.known_groups) if name in wanted]

    async def delete_group(self, name: str) -> bool:
        for account in list(self.known):
            await self.leave(account, name)
        return self.known_groups.pop(name, None) is not None

    async def members(self, names: Collection[str]) -> dict[str, list[str]]:
        return {
            name: sorted(each.name for each in self.known.values() if name in each.groups) for name in names
        }

    async def join(self, account: str, group: str) -> bool:
        if (found := self.known.get(account)) is None:
            return False
        self.known[account] = replace(found, groups=tuple(sorted({*found.groups, group})))
        return True

    async def leave(self, account: str, group: str) -> bool:
        if (found := self.known.get(account)) is None:
            return False
        self.known[account] = replace(found, groups=tuple(each for each in found.groups if each != group))
        return True

    async def add_token(self, token: Token) -> bool:
        return self.by_digest.setdefault(token.digest, token) is token

    async def token(self, digest: str) -> Token | None:
        self.look_ups += 1
        return self.by_digest.get(digest)

    async def tokens(self, account: str) -> list[Token]:
        mine = (token for token in self.by_digest.values() if token.account == account)
        return [token for token in mine if token.client is None]

    async def revoke(self, digest: str, *, now: datetime) -> None:
        self.by_digest[digest] = replace(self.by_digest[digest], revoked_at=now)

    async def used(self, digest: str, *, at: datetime) -> None:
        self.by_digest[digest] = replace(self.by_digest[digest], last_used_at=at)

    async def put_credential(self, credential: Credential) -> None:
        self.credentials[credential.account, credential.cloud] = credential

    async def credential(self, account: str, cloud: str) -> Credential | None:
        return self.credentials.get((account, cloud))

    async def delete_credential(self, account: str, cloud: str) -> None:
        self.credentials.pop((account, cloud), None)

    async def add_client(self, client: Client) -> None:
        self.clients_by_id[client.id] = client

    async def client(self, client_id: str) -> Client | None:
        return self.clients_by_id.get(client_id)

    async def clients(self, account: str) -> list[Client]:
        return [client for client in self.clients_by_id.values() if client.account == account]

    async def revoke_client(self, client_id: str, *, now: datetime) -> None:
        self.clients_by_id[client_id] = replace(self.clients_by_id[client_id], revoked_at=now)
        for digest, token in self.by_digest.items():
            if token.client == client_id:
                self.by_digest[digest] = replace(token, revoked_at=now)

    async def forget_tokens(self, client_id: str, *, before: datetime) -> None:
        for digest, token in list(self.by_digest.items()):
            if token.client == client_id and token.expires_at is not None and token.expires_at < before:
                del self.by_digest[digest]


class MemorySessions:
    """The `SessionStore` port."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}

    async def add_session(self, session: Session) -> None:
        self.sessions[session.digest] = session

    async def session(self, digest: str) -> Session | None:
        return self.sessions.get(digest)

    async def end_session(self, digest: str) -> None:
        self.sessions.pop(digest, None)

    async def forget_sessions(self, before: datetime) -> None:
        self.sessions = {key: each for key, each in self.sessions.items() if each.expires_at >= before}


class MemoryAudit:
    """The `AuditStore` port."""

    def __init__(self) -> None:
        self.stored: list[Bucket] = []

    async def add(self, bucket: Bucket) -> None:
        self.stored.append(bucket)

    async def buckets(self, wanted: Wanted, *, upto: str | None, limit: int) -> list[Bucket]:
        found = [each for each in self.stored[::-1] if upto is None or each.id <= upto]
        return [each for each in found if list(wanted.found_in([each], before=None))][:limit]

    async def forget(self, before: datetime) -> None:
        self.stored = [each for each in self.stored if each.entries[-1].at >= before]


class MemoryPosts:
    """The `PostStore` port."""

    def __init__(self) -> None:
        self.posts: dict[str, Post] = {}

    async def put(self, post: Post) -> None:
        self.posts[post.job_id] = post

    async def like(self, key: str) -> list[Post]:
        return [post for post in self.posts.values() if post.key == key]

    async def take(self, post: Post, *, gateway: str, now: datetime) -> Post | None:
        if self.posts.get(post.job_id) != post:
            return None
        taken = replace(post, gateway=gateway, at=now, turn=post.turn + 1, unanswered=False)
        self.posts[post.job_id] = taken
        return taken

    async def unanswered(self, post: Post) -> None:
        if self.posts.get(post.job_id) == post:
            self.posts[post.job_id] = replace(post, unanswered=True)

    async def remove(self, post: Post) -> None:
        if (found := self.posts.get(post.job_id)) is not None and found.turn == post.turn:
            del self.posts[post.job_id]

    async def forget(self, before: datetime) -> None:
        self.posts = {key: post for key, post in self.posts.items() if post.at >= before}
