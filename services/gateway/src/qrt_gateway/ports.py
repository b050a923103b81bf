"""What the gateway's use cases need from outside."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Protocol

from qrt_contracts.values import Artifact, Payload
from qrt_gateway.domain.accounts import Caller, Token
from qrt_gateway.domain.credentials import Credential

Clock = Callable[[], datetime]


class AccountStore(Protocol):
    """Where accounts and the digests of their tokens are kept."""

    async def add_account(self, account: Caller, *, now: datetime) -> bool:
        """Store a new account; False if its name is taken."""

    async def account(self, name: str) -> Caller | None:
        """Return an account."""

    async def add_token(self, token: Token) -> bool:
        """Store a new token; False if its digest is taken."""

    async def token(self, digest: str) -> Token | None:
        """Return a token by its digest."""

    async def tokens(self, account: str) -> list[Token]:
        """Return an account's tokens, oldest first."""

    async def revoke(self, digest: str, *, now: datetime) -> None:
        """Mark a token as revoked, unless it is already."""


class CredentialStore(Protocol):
    """Where sealed tokens for services outside are kept."""

    async def put_credential(self, credential: Credential) -> None:
        """Store a credential in place of an earlier one."""

    async def credential(self, account: str, cloud: str) -> Credential | None:
        """Return an account's credential for a cloud."""

    async def delete_credential(self, account: str, cloud: str) -> None:
        """Forget it, if it is there."""


class Artifacts(Protocol):
    """Where blobs are kept, addressed by the sha256 of their content."""

    async def put(self, data: bytes) -> Artifact:
        """Store a blob."""

    def read(self, sha256: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield a blob's bytes from `start` up to, not including, `end`. Raises: NotFound."""

    async def wrap(self, text: str) -> Payload:
        """Return a JSON text as a payload, stored first if it is large."""
