"""What every surface does with an input before a job of it is queued."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qrt_contracts.faults import InvalidRequest
from qrt_contracts.values import Payload, ProgramKind
from qrt_gateway.domain.inputs import OBJECT_KINDS, SIGNATURE_BYTES, Inputs, object_input
from qrt_gateway.domain.reserved import SECRETS, TAGS, parted, secrets_of, tags_of
from qrt_gateway.domain.texts import text_of
from qrt_gateway.ports import Artifacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An input that may be queued."""

    text: str
    """Its JSON, without what is the runtime's."""
    value: Any = None
    """The same, parsed."""
    tags: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By the environment variables in which the program finds them."""


class Submissions:
    """Judges inputs; one per gateway."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._inputs = Inputs()

    async def judged(
        self,
        value: Any,
        *,
        tags: tuple[str, ...] = (),
        secrets: Mapping[str, str] | None = None,
        kind: ProgramKind,
        signature: Payload | None,
    ) -> Judged:
        """Return an input as its program gets it, with its tags and secrets.

        Tags are those given and those in `$tags`; secrets are either given or in `$secrets`.

        Raises:
            InvalidRequest: it is no input for this program, or its tags or secrets are none.
        """
        value, found, kept = object_input(value, kind), tags_of(tags), secrets_of(secrets)
        if kind in OBJECT_KINDS:
            parts = parted(value)
            value = parts.input
            found = tags_of([*found, *tags_of(parts.tags, pointer=f"/{TAGS}")], pointer=f"/{TAGS}")
            kept = _either(kept, secrets_of(parts.secrets, pointer=f"/{SECRETS}"))
        text = text_of(value)
        if signature is not None:
            await self._check(value, signature, size=len(text))
        return Judged(text=text, value=value, tags=found, secrets=kept)

    async def _check(self, value: Any, signature: Payload, *, size: int) -> None:
        if signature.size > SIGNATURE_BYTES:
            return
        digest = _digest(signature)
        known = self._inputs.knows(digest)
        content = None if known else await self._content(signature)
        self._inputs.check(value, digest=digest, signature=content, size=size)

    async def _content(self, signature: Payload) -> bytes:
        if signature.artifact is None:
            return (signature.text or "").encode()
        return b"".join([piece async for piece in self._artifacts.read(signature.artifact.sha256)])


def _either(given: dict[str, str], reserved: dict[str, str]) -> dict[str, str]:
    if given and reserved:
        raise InvalidRequest(
            "give secrets in one place: in `secrets` or in the input's `$secrets`", field=SECRETS
        )
    return given or reserved


def _digest(signature: Payload) -> str:
    if signature.artifact is not None:
        return signature.artifact.sha256
    return hashlib.sha256((signature.text or "").encode()).hexdigest()
