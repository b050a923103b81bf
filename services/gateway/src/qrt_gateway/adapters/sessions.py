"""The web console's sessions in MongoDB: database `gateway`: `sessions`, by the sha256 of a cookie."""

from datetime import datetime

from qrt_chassis.store import Store, keep_index
from qrt_gateway.domain.sessions import Session


class MongoSessions:
    """The `SessionStore` port."""

    def __init__(self, store: Store) -> None:
        self._sessions = store.database("gateway")["sessions"]

    async def prepare(self) -> None:
        """Make the index. Safe to repeat, by several replicas at once."""
        await keep_index(self._sessions, "expires_at")

    async def add_session(self, session: Session) -> None:
        """Store a new session."""
        fields = {"token": session.token, "expires_at": session.expires_at}
        await self._sessions.insert_one({"_id": session.digest} | fields)

    async def session(self, digest: str) -> Session | None:
        """Return a session by its cookie's digest."""
        found = await self._sessions.find_one({"_id": digest})
        if found is None:
            return None
        return Session(digest=digest, token=found["token"], expires_at=found["expires_at"])

    async def end_session(self, digest: str) -> None:
        """Remove a session, if it is there."""
        await self._sessions.delete_one({"_id": digest})

    async def forget_sessions(self, before: datetime) -> None:
        """Remove the sessions that ended before a moment."""
        await self._sessions.delete_many({"expires_at": {"$lt": before}})
