"""Values that may be stored and sent, but read only where the deployment's key is.

`cryptography`'s Fernet recipe (AES-128-CBC with HMAC-SHA256) under keys that only the gateway and the
executors have: neither the scheduler, its database nor the broker can read what is sealed.
"""

import base64
import hashlib
import hmac
from typing import Annotated

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import AfterValidator, SecretStr, ValidationError

from qrt_contracts.values import Confidential

MIN_KEY_CHARACTERS = 32


def for_jobs_of(owner: str) -> str:
    """Return the purpose of what an owner's jobs carry."""
    return f"jobs of {owner}"


def for_account(name: str) -> str:
    """Return the purpose of what an account keeps."""
    return f"account {name}"


class SealBroken(Exception):
    """What is to be opened was not sealed with any of these keys, or not for this purpose."""


def _checked(keys: SecretStr) -> SecretStr:
    Seal(keys)
    return keys


SealingKeys = Annotated[SecretStr, AfterValidator(_checked)]
"""Keys as settings: refused at start if they are too weak to use."""


class Seal:
    """Seals `Confidential` values for one purpose each, such as the jobs of one owner."""

    def __init__(self, keys: SecretStr) -> None:
        """Take the keys, several with commas between: the first one seals, each one opens.

        Raises:
            ValueError: there is none, or one has fewer than `MIN_KEY_CHARACTERS` characters.
        """
        texts = [part.strip() for part in keys.get_secret_value().split(",") if part.strip()]
        if not texts or min(map(len, texts)) < MIN_KEY_CHARACTERS:
            raise ValueError(f"give a key of {MIN_KEY_CHARACTERS} random characters or more")
        self._fernet = MultiFernet([Fernet(_derived(text)) for text in texts])
        self._mark = hashlib.sha256(b"quafu-runtime fingerprint\x00" + texts[0].encode()).digest()

    def seal(self, value: Confidential, *, purpose: str) -> str:
        """Return `value`, sealed; it opens again with the same purpose only."""
        text = orjson.dumps({"purpose": purpose, "value": value.model_dump()})
        return self._fernet.encrypt(text).decode()

    def open(self, sealed: str, *, purpose: str) -> Confidential:
        """Return what was sealed. Raises SealBroken."""
        try:
            found = orjson.loads(self._fernet.decrypt(sealed.encode()))
            if found["purpose"] != purpose:
                raise SealBroken("it was sealed for another purpose")
            return Confidential.model_validate(found["value"])
        except (InvalidToken, KeyError, TypeError, ValueError, ValidationError):
            raise SealBroken("it was not sealed with a key of this deployment") from None

    def fingerprint(self, data: bytes, *, purpose: str) -> str:
        """Return what is equal for equal data, and tells nothing about it to whoever has no key."""
        return hmac.new(self._mark, purpose.encode() + b"\x00" + data, hashlib.sha256).hexdigest()


def _derived(text: str) -> bytes:
    """Return a Fernet key; what it is made of is random enough that one hash is enough."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"quafu-runtime seal\x00" + text.encode()).digest())
