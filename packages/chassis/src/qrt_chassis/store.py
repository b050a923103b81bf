"""Access to MongoDB: the only module that makes a Motor client."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import WriteConcern
from pymongo.errors import OperationFailure

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


Keys = str | Sequence[tuple[str, int]]
_DEFINING = ("unique", "sparse", "expireAfterSeconds", "partialFilterExpression")
_NO_SUCH_COLLECTION, _NO_SUCH_INDEX = 26, 27


async def keep_index(collection: AsyncIOMotorCollection[dict[str, Any]], keys: Keys, **options: Any) -> None:
    """See to it that there is an index. Safe to repeat, by several replicas at once.

    One of the same name or keys that an earlier release has defined otherwise is made anew; while that lasts,
    what it is there for is missing.
    """
    wanted = [(keys, 1)] if isinstance(keys, str) else list(keys)
    name = options.pop("name", None) or "_".join(f"{field}_{way}" for field, way in wanted)
    for other, found in (await collection.index_information()).items():
        of_keys = list(found["key"]) == wanted
        if (other == name or of_keys) and not (other == name and of_keys and _defined_so(found, options)):
            await drop_index(collection, other)
    await collection.create_index(wanted, name=name, **options)


def _defined_so(found: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    return all((found.get(each) or None) == (options.get(each) or None) for each in _DEFINING)


async def drop_index(collection: AsyncIOMotorCollection[dict[str, Any]], name: str) -> None:
    """See to it that there is no index of this name. Safe to repeat, by several replicas at once."""
    try:
        await collection.drop_index(name)
    except OperationFailure as error:
        if error.code not in (_NO_SUCH_INDEX, _NO_SUCH_COLLECTION):
            raise
