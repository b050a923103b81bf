"""Requests that start a job and have not been answered for certain: what a repeated one finds. Pure."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(seconds=120)
"""How long an unanswered request is remembered; clients that repeat by themselves have given up by then."""
SUSPECT_AFTER = timedelta(seconds=0.7)
"""A request open for longer at another gateway may have died with it: answers take milliseconds, and the
first repeat of published clients comes 0.9 s after the connection broke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One such request. Its job has the id chosen here, so that a repeat asks for the same job."""

    job_id: str
    key: str
    """The same for equal requests of one token; see `key_of`."""
    gateway: str
    """The replica that has it at present."""
    at: datetime
    """When that replica took it."""
    turn: int = 1
    """Counts the requests for this job: with the job's id, what a writer must have seen to write."""
    unanswered: bool = False
    """Its client has been told of an error, or has gone before it was told anything."""

    def repeatable(self, *, gateway: str, now: datetime) -> bool:
        """Tell whether an equal request at `gateway` is this one again; its own open ones it knows itself."""
        age = now - self.at
        if age > WINDOW:
            return False
        return self.unanswered or (self.gateway != gateway and age > SUSPECT_AFTER)


def key_of(secret: str, path: str, body: bytes) -> str:
    """Return what equal requests share. It tells nothing about them: the token's text is its key."""
    message = hashlib.sha256(body).digest() + path.encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


@dataclass(slots=True)
class Connection:
    """What is known of the connection a request came on."""

    closed: bool = False
    """It is no more."""
    reset: bool = False
    """It broke, with something that had not been read: no proper end."""


@dataclass(slots=True, kw_only=True)
class Answered:
    """A request whose answer was written: whether it was read shows only in what follows."""

    post: Post
    connection: Connection
    retrying: bool
    """Its client repeats by itself what got no answer, and speaks to this gateway directly."""
    at: float
    repeats: int = 0

    def lost(self, *, by_retrying: bool, arrived: float) -> bool:
        """Tell whether an equal request that arrived then is likely this one again.

        A client that has read the answer ends its connection properly, or uses it again. One that has
        not may have had it cut by something between, properly towards here: then only its habits tell.
        """
        if self.connection.reset:
            return True
        earliest, latest = RETRY_SECONDS
        return (
            self.connection.closed
            and self.retrying
            and by_retrying
            and self.repeats < RETRIES
            and earliest <= arrived - self.at <= latest
        )


RETRY_SECONDS = (0.7, 5.0)
"""When published clients repeat: 0.9 to 1.1 s after the first failure, 1.8 to 2.2 s after the second."""
RETRIES = 2
ANSWERED_SECONDS = 10.0
"""How long an answered request is remembered."""
