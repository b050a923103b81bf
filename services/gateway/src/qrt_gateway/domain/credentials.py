"""Tokens of accounts for services outside."""

from dataclasses import dataclass, field
from datetime import datetime

CLOUDS = ("quafu",)
"""Services for which an account can keep a token."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A token as it is kept."""

    account: str
    cloud: str
    sealed: str = field(repr=False)
    updated_at: datetime
