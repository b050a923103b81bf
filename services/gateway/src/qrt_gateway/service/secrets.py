"""What only programs and backends may read: sealed before it is kept or sent, opened by executors."""

from collections.abc import Callable, Mapping
from datetime import datetime

from qrt_chassis.bounded import Bounded
from qrt_chassis.sealing import Seal, SealBroken, for_account, for_jobs_of
from qrt_contracts.faults import Conflict, InvalidRequest, NotFound
from qrt_contracts.values import Confidential
from qrt_gateway.domain.credentials import CLOUDS, Credential
from qrt_gateway.domain.reserved import SECRETS
from qrt_gateway.ports import Clock, CredentialStore

MEMORY_SECONDS = 5.0
"""How long a change made at another gateway may go unnoticed here."""
MEMORY_SIZE = 10_000

NO_KEYS = "this deployment takes no secrets: its operator has set no QRT_GATEWAY_SEALING_KEYS"


class Secrets:
    """Keeps the credentials of accounts, and seals what their jobs carry."""

    def __init__(
        self,
        store: CredentialStore,
        *,
        seal: Seal | None,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._monotonic = monotonic
        self._known: Bounded[str, tuple[float, dict[str, str]]] = Bounded(MEMORY_SIZE)

    async def keep(self, account: str, cloud: str, token: str) -> datetime:
        """Keep an account's token for a cloud in place of an earlier one; return when that was.

        Raises:
            NotFound: no such cloud is known here.
            Conflict: this deployment takes no secrets.
        """
        _require_known(cloud)
        now = self._clock()
        sealed = self._sealer().seal(Confidential(credentials={cloud: token}), purpose=for_account(account))
        await self._store.put_credential(Credential(account, cloud, sealed, now))
        self._known.pop(account, None)
        return now

    async def kept_at(self, account: str, cloud: str) -> datetime:
        """Return since when an account's token for a cloud is kept. Raises: NotFound."""
        _require_known(cloud)
        found = await self._store.credential(account, cloud)
        if found is None:
            raise NotFound(f"no token for {cloud!r} is kept for this account")
        return found.updated_at

    async def forget(self, account: str, cloud: str) -> None:
        """Forget an account's token for a cloud. Raises: NotFound."""
        await self.kept_at(account, cloud)
        await self._store.delete_credential(account, cloud)
        self._known.pop(account, None)

    async def for_job(self, account: str, secrets: Mapping[str, str] | None = None) -> str | None:
        """Return what a job of an account carries, sealed; None if that is nothing.

        Raises:
            InvalidRequest: there are `secrets`, and this deployment takes none.
            Conflict: what the account keeps cannot be opened any more.
        """
        if secrets and self._seal is None:
            raise InvalidRequest(NO_KEYS, field=SECRETS)
        credentials = await self._credentials(account)
        if not secrets and not credentials:
            return None
        value = Confidential(secrets=dict(secrets or {}), credentials=credentials)
        return self._sealer().seal(value, purpose=for_jobs_of(account))

    def fingerprint(self, account: str, submission: bytes) -> str:
        """Return what equal submissions with secrets share. Raises: InvalidRequest."""
        if self._seal is None:
            raise InvalidRequest(NO_KEYS, field=SECRETS)
        return self._seal.fingerprint(submission, purpose=for_jobs_of(account))

    def _sealer(self) -> Seal:
        if self._seal is None:
            raise Conflict(NO_KEYS)
        return self._seal

    async def _credentials(self, account: str) -> dict[str, str]:
        """Return an account's tokens by cloud; remembered sealed no longer than a revocation may take."""
        if self._seal is None:
            return {}
        now = self._monotonic()
        until, sealed = self._known.get(account, (now, {}))
        if until <= now:
            found = [await self._store.credential(account, cloud) for cloud in CLOUDS]
            sealed = {each.cloud: each.sealed for each in found if each is not None}
            self._known[account] = (now + MEMORY_SECONDS, sealed)
        return {cloud: self._opened(account, cloud, text) for cloud, text in sealed.items()}

    def _opened(self, account: str, cloud: str, sealed: str) -> str:
        try:
            return self._sealer().open(sealed, purpose=for_account(account)).credentials[cloud]
        except (SealBroken, KeyError):
            raise Conflict(
                f"the token kept for {cloud!r} cannot be opened any more: put it again, or delete it"
            ) from None


def _require_known(cloud: str) -> None:
    if cloud not in CLOUDS:
        raise NotFound(f"no tokens are kept for {cloud[:64]!r}; there is: {', '.join(CLOUDS)}")
