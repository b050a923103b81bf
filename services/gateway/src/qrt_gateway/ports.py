"""What the gateway's use cases need from outside."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from qrt_contracts.rights import Role
from qrt_contracts.values import Artifact, Payload
from qrt_gateway.domain.accounts import Account, Client, Group, Token
from qrt_gateway.domain.audit import Bucket, Wanted
from qrt_gateway.domain.credentials import Credential
from qrt_gateway.domain.posts import Post
from qrt_gateway.domain.sessions import Session
from qrt_gateway.domain.webhooks import Delivery, Webhook

Clock = Callable[[], datetime]


class AccountStore(Protocol):
    """Where accounts and the digests of their tokens are kept."""

    async def add_account(self, account: Account) -> bool:
        """Store a new account; False if its name is taken."""

    async def account(self, name: str) -> Account | None:
        """Return an account."""

    async def any_account(self) -> bool:
        """Tell whether there is an account."""

    async def add_token(self, token: Token) -> bool:
        """Store a new token; False if its digest is taken."""

    async def token(self, digest: str) -> Token | None:
        """Return a token by its digest."""

    async def tokens(self, account: str) -> list[Token]:
        """Return an account's tokens, oldest first."""

    async def revoke(self, digest: str, *, now: datetime) -> None:
        """Mark a token as revoked, unless it is already."""

    async def used(self, digest: str, *, at: datetime) -> None:
        """Note when a token was used last."""

    async def add_client(self, client: Client) -> None:
        """Store a new client."""

    async def client(self, client_id: str) -> Client | None:
        """Return a client by its id."""

    async def clients(self, account: str) -> list[Client]:
        """Return an account's clients, oldest first."""

    async def revoke_client(self, client_id: str, *, now: datetime) -> None:
        """Mark a client and every token it was given as revoked."""

    async def forget_tokens(self, client_id: str, *, before: datetime) -> None:
        """Remove a client's tokens that expired before a moment."""


class DirectoryStore(Protocol):
    """Where accounts are kept with their groups. An account's groups are in its own record."""

    async def add_account(self, account: Account) -> bool:
        """Store a new account; False if its name is taken."""

    async def account(self, name: str) -> Account | None:
        """Return an account."""

    async def accounts(self, *, after: str, limit: int) -> list[Account]:
        """Return up to `limit` accounts with names above `after`, by name."""

    async def names(self, among: Collection[str]) -> set[str]:
        """Return which of these names are those of accounts."""

    async def change_account(self, name: str, *, role: Role, disabled: bool) -> bool:
        """Set an account's role and whether it is disabled; False if there is none."""

    async def administrators(self) -> list[str]:
        """Return the names of the administrators that are not disabled."""

    async def add_group(self, group: Group) -> bool:
        """Store a new group; False if its name is taken."""

    async def group(self, name: str) -> Group | None:
        """Return a group."""

    async def groups(self, names: Collection[str] | None = None) -> list[Group]:
        """Return these groups, or all, by name."""

    async def delete_group(self, name: str) -> bool:
        """Forget a group, and who is in it; False if there is none."""

    async def members(self, names: Collection[str]) -> dict[str, list[str]]:
        """Return the names of the accounts in each of these groups, sorted."""

    async def join(self, account: str, group: str) -> bool:
        """Put an account into a group, where it may be already; False if there is no such account."""

    async def leave(self, account: str, group: str) -> bool:
        """Take an account out of a group, if it is in it; False if there is no such account."""


class CredentialStore(Protocol):
    """Where sealed tokens for services outside are kept."""

    async def put_credential(self, credential: Credential) -> None:
        """Store a credential in place of an earlier one."""

    async def credential(self, account: str, cloud: str) -> Credential | None:
        """Return an account's credential for a cloud."""

    async def delete_credential(self, account: str, cloud: str) -> None:
        """Forget it, if it is there."""


class SessionStore(Protocol):
    """Where the web console's sessions are kept."""

    async def add_session(self, session: Session) -> None:
        """Store a new session."""

    async def session(self, digest: str) -> Session | None:
        """Return a session by its cookie's digest."""

    async def end_session(self, digest: str) -> None:
        """Remove a session, if it is there."""

    async def forget_sessions(self, before: datetime) -> None:
        """Remove the sessions that ended before a moment."""


class AuditStore(Protocol):
    """Where the audit log is kept, of all gateways."""

    async def add(self, bucket: Bucket) -> None:
        """Store entries; the same again changes nothing."""

    async def buckets(self, wanted: Wanted, *, upto: str | None, limit: int) -> list[Bucket]:
        """Return up to `limit` buckets that hold wanted entries, newest first, from `upto` on."""

    async def forget(self, before: datetime) -> None:
        """Remove buckets whose newest entry is of before a moment."""


class PostStore(Protocol):
    """Where requests that start jobs are written down until they are answered."""

    async def put(self, post: Post) -> None:
        """Write a request down, in place of any other of the same job."""

    async def like(self, key: str) -> list[Post]:
        """Return some of the requests with a key, oldest first."""

    async def take(self, post: Post, *, gateway: str, now: datetime) -> Post | None:
        """Take a request over if it still is as `post` says; returns it as it is then."""

    async def unanswered(self, post: Post) -> None:
        """Mark a request as one whose client got no answer, unless it was taken over."""

    async def remove(self, post: Post) -> None:
        """Cross a request out, unless it was taken over."""

    async def forget(self, before: datetime) -> None:
        """Remove the requests of before a moment."""


class WebhookStore(Protocol):
    """Where webhooks are kept. Each change that says who is told of what is counted, after it was made."""

    async def add_webhook(self, webhook: Webhook) -> None:
        """Store a new webhook."""

    async def webhook(self, webhook_id: str) -> Webhook | None:
        """Return a webhook."""

    async def webhooks(self, owner: str) -> list[Webhook]:
        """Return an account's webhooks, oldest first."""

    async def all_webhooks(self, *, limit: int) -> list[Webhook]:
        """Return up to `limit` of all webhooks."""

    async def change_webhook(self, webhook_id: str, changes: Mapping[str, object]) -> bool:
        """Set fields of a webhook; False if it is gone."""

    async def delete_webhook(self, webhook_id: str) -> bool:
        """Remove a webhook and its deliveries; False if it was gone."""

    async def webhook_changes(self) -> int:
        """Return how many changes there were."""


class DeliveryStore(Protocol):
    """Where deliveries wait to be sent, and are kept for a while after."""

    async def add_delivery(self, delivery: Delivery) -> bool:
        """Store a delivery; False if it is there already."""

    async def delivery(self, delivery_id: str) -> Delivery | None:
        """Return a delivery."""

    async def deliveries(self, webhook_id: str, *, limit: int, before: str | None) -> list[Delivery]:
        """Return up to `limit` deliveries of a webhook, newest first, of orders below `before`."""

    async def due(self, now: datetime, *, limit: int) -> list[tuple[str, str]]:
        """Return (id of the delivery, id of its webhook) of some that are due."""

    async def claim(self, delivery_id: str, *, now: datetime, until: datetime) -> Delivery | None:
        """Take a delivery that is due, so that nobody else does before `until`; None if it is not."""

    async def settle(self, old: Delivery, new: Delivery) -> bool:
        """Store what became of a delivery if it still is as `old` says."""

    async def postpone(self, delivery_ids: Sequence[str], *, now: datetime, until: datetime) -> None:
        """Let deliveries that are due wait until a moment."""

    async def forget_deliveries(self, before: datetime) -> None:
        """Remove the deliveries that ended before a moment."""


class Reached(Protocol):
    """Sends to receivers outside, none of which may lead inside."""

    async def may_reach(self, url: str) -> str | None:
        """Return why a URL can never be sent to; None if it can, or if its host is not found now."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the status that a receiver answers.

        Raises:
            NotReached: it did not answer.
        """


class NotReached(Exception):
    """A receiver gave no answer; the text says why, and nothing of what lies inside."""


class Artifacts(Protocol):
    """Where blobs are kept, addressed by the sha256 of their content."""

    async def put(
        self, data: bytes | AsyncIterable[bytes], *, limit: int | None = None, upload: bool = False
    ) -> Artifact:
        """Store a blob; an `upload` for a while, unless it is kept.

        Raises: TooLarge, for one of more than `limit` bytes.
        """

    async def keep(self, sha256: str) -> None:
        """Let an upload stay for good."""

    def read(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield a blob's bytes from `start` up to, not including, `end`. Raises: NotFound."""

    async def wrap(self, text: str) -> Payload:
        """Return a JSON text as a payload, stored first if it is large."""
