"""What a release has left behind: its databases, its messages, its schemas, and what it was asked to make."""

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymongo
from bson import json_util
from pymongo.errors import DuplicateKeyError

HERE = Path(__file__).parent
DATABASES = ("gateway", "registry", "scheduler", "artifacts")
"""All that an installation keeps."""
MOST_BYTES = 300_000
"""A recording of databases is kept small: it is in the repository for ever."""

_CANONICAL = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL, tz_aware=True, uuid_representation=4
)

NEWER = {"what no release knows yet": {"deep": [1]}}
"""Fields that a release to come could add."""

Dump = dict[str, dict[str, dict[str, Any]]]
"""Database -> collection -> `documents` and `indexes`."""


@dataclass(frozen=True)
class Heard:
    """One message as it was on the broker. `exchange` is empty for what went to a queue by its name."""

    exchange: str
    routing_key: str
    properties: dict[str, Any]
    body: bytes

    @property
    def headers(self) -> dict[str, Any]:
        headers: dict[str, Any] = self.properties.get("headers") or {}
        return headers

    @property
    def schema(self) -> str:
        return str(self.headers.get("schema", ""))

    @property
    def is_reply(self) -> bool:
        return self.exchange == "" and self.routing_key.startswith("amq.rabbitmq.reply-to")

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def as_json(self) -> dict[str, Any]:
        body = base64.b64encode(self.body).decode()
        return {
            "exchange": self.exchange,
            "routing_key": self.routing_key,
            "properties": self.properties,
            "body": body,
        }

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Heard":
        return cls(**{**stored, "body": base64.b64decode(stored["body"])})


@dataclass
class Recording:
    """Everything of one release."""

    facts: dict[str, Any]
    """Names, ids and tokens of what was made, and the commit that made it."""
    databases: Dump
    kinds: list[Heard]
    """At least one message of every kind, and each reply, in order; before the databases were dumped."""
    after: list[Heard]
    """What followed the dump: the ends of what was running then."""
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`name v1` -> JSON Schema of a message, `name v1 reply` -> of what answers it."""

    @property
    def version(self) -> str:
        return str(self.facts["version"])

    def of_schema(self, schema: str) -> Iterator[Heard]:
        for each in (*self.kinds, *self.after):
            if each.schema == schema and not each.is_reply:
                yield each


def versions() -> list[str]:
    """Return the recorded releases, oldest first."""
    found = [each.name for each in HERE.iterdir() if (each / "facts.json").exists()]
    return sorted(found, key=lambda name: tuple(map(int, name.split("."))))


def read(version: str) -> Recording:
    """Return the recording of a release."""
    folder = HERE / version
    messages = json.loads(_unpacked(folder / "messages.json.gz"))
    return Recording(
        facts=json.loads((folder / "facts.json").read_text()),
        databases=json_util.loads(_unpacked(folder / "databases.json.gz"), json_options=_CANONICAL),
        kinds=[Heard.of(each) for each in messages["kinds"]],
        after=[Heard.of(each) for each in messages["after"]],
        schemas=json.loads(_unpacked(folder / "schemas.json.gz")),
    )


def write(recording: Recording) -> Path:
    """Keep a recording; return where."""
    folder = HERE / recording.version
    folder.mkdir(exist_ok=True)
    (folder / "facts.json").write_text(json.dumps(recording.facts, indent=2) + "\n")
    _pack(folder / "databases.json.gz", json_util.dumps(recording.databases, json_options=_CANONICAL))
    messages = {
        "kinds": [each.as_json() for each in recording.kinds],
        "after": [each.as_json() for each in recording.after],
    }
    _pack(folder / "messages.json.gz", json.dumps(messages))
    _pack(folder / "schemas.json.gz", json.dumps(recording.schemas, sort_keys=True))
    size = (folder / "databases.json.gz").stat().st_size
    assert size < MOST_BYTES, f"the databases take {size} bytes"
    return folder


def grown(data: Any) -> Any:
    """Return data with an unknown field in every object that has declared ones."""
    if isinstance(data, dict):
        free = {"secrets", "credentials", "input", "check", "output"}
        return {key: each if key in free else grown(each) for key, each in data.items()} | NEWER
    return list(map(grown, data)) if isinstance(data, list) else data


def dump(url: str) -> Dump:
    """Return every document and index of an installation's databases."""
    with pymongo.MongoClient[dict[str, Any]](url, tz_aware=True) as client:
        return {name: _dumped(client[name]) for name in DATABASES}


def _dumped(database: Any) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "documents": list(database[name].find({})),
            "indexes": [dict(each) for each in database[name].list_indexes()],
        }
        for name in sorted(database.list_collection_names())
    }


def load(databases: Dump, url: str, *, prefix: str) -> None:
    """Make an installation's databases as they were dumped, indexes included."""
    with pymongo.MongoClient[dict[str, Any]](url, tz_aware=True) as client:
        for database, collections in databases.items():
            for name, held in collections.items():
                collection = client[prefix + database][name]
                for index in held["indexes"]:
                    _index(collection, index)
                for document in held["documents"]:
                    with suppress(DuplicateKeyError):  # two releases may hold the same artifact
                        collection.insert_one(document)


def _index(collection: Any, index: dict[str, Any]) -> None:
    if index["name"] == "_id_":
        return
    options = {key: value for key, value in index.items() if key not in ("v", "key", "ns")}
    collection.create_index(list(_keys(index["key"])), **options)


def _keys(key: Any) -> Sequence[tuple[str, int]]:
    return [(name, int(way)) for name, way in dict(key).items()]


def _pack(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _unpacked(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()
