"""Access to MongoDB: the only module that makes a Motor client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import WriteConcern

from qrt_chassis.settings import MongoSettings


class Store:
    """The databases of one installation. Writes return once a majority has them."""

    def __init__(self, client: AsyncIOMotorClient[dict[str, Any]], *, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def database(self, name: str) -> AsyncIOMotorDatabase[dict[str, Any]]:
        """Return the database called `name` in this installation."""
        return self._client.get_database(self._prefix + name, write_concern=WriteConcern("majority"))

    async def ping(self) -> None:
        """Return if the server answers; raises the driver's error otherwise."""
        await self._client.admin.command("ping")


@asynccontextmanager
async def open_store(settings: MongoSettings) -> AsyncIterator[Store]:
    """Open a store; it connects when it is first used, so the server may come up later.

    An operation that finds no server raises a passing fault after `timeout_seconds`.
    """
    milliseconds = int(settings.timeout_seconds * 1000)
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        settings.url.get_secret_value(),
        serverSelectionTimeoutMS=milliseconds,
        connectTimeoutMS=milliseconds,
        timeoutMS=milliseconds,
        tz_aware=True,
        uuidRepresentation="standard",
        appname="quafu-runtime",
    )
    try:
        yield Store(client, prefix=settings.prefix)
    finally:
        client.close()
