"""Programs in MongoDB, database `registry`, collection `programs`.

One document is a program with all its versions, so that a new version and the program's newest
one change together. `versions` is keyed by number: a reader projects the one it wants. Names are
unique per owner by an index; every other look-up is by `_id` or by owner.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never

from pydantic import BaseModel
from pymongo.errors import DuplicateKeyError

from qrt_chassis.grouped import Grouped
from qrt_chassis.store import Store, keep_index
from qrt_contracts.rights import ProgramScope
from qrt_contracts.values import BuildState, Program, Version, Visibility
from qrt_registry.domain import name_taken
from qrt_registry.ports import ProgramFilter

LOOKED_UP = 64
"""Names looked up at a time at most."""
_WITHOUT_VERSIONS = {"versions": 0}


class MongoPrograms:
    """The `ProgramStore` port."""

    def __init__(self, store: Store) -> None:
        self._programs = store.database("registry")["programs"]
        self._names = Grouped(self._by_names, most=LOOKED_UP, owner="looks at programs")

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat, by several replicas at once."""
        await keep_index(self._programs, [("owner", 1), ("name", 1)], unique=True)
        await keep_index(self._programs, [("owner", 1), ("_id", -1)])
        await keep_index(self._programs, "visibility")
        await keep_index(self._programs, "groups")

    async def insert(self, program: Program) -> bool:
        """Store a new program; False if its id is taken. Raises: NameTaken."""
        document = program.model_dump(mode="json", exclude={"id"})
        document |= {"_id": program.id, "versions": {str(program.latest.number): document["latest"]}}
        try:
            await self._programs.insert_one(document)
        except DuplicateKeyError:
            # Which of the two unique keys it was, is asked of the data, not of the error's text.
            if await self.get(program.id):
                return False
            raise name_taken(program.name) from None
        return True

    async def get(self, program_id: str) -> Program | None:
        """Return a program."""
        return _program(await self._programs.find_one({"_id": program_id}, _WITHOUT_VERSIONS))

    async def named(self, owner: str, name: str) -> Program | None:
        """Return the program an owner has under `name`; one look answers all who ask for it meanwhile."""
        return await self._names.ask((owner, name))

    async def _by_names(self, asked: Sequence[tuple[str, str]]) -> list[Program | None]:
        keys = list(dict.fromkeys(asked))
        looks = (
            self._programs.find_one({"owner": owner, "name": name}, _WITHOUT_VERSIONS) for owner, name in keys
        )
        found = dict(zip(keys, map(_program, await asyncio.gather(*looks)), strict=True))
        return [found[each] for each in asked]

    async def version(self, program_id: str, number: int) -> Version | None:
        """Return one version of a program."""
        found = await self._programs.find_one({"_id": program_id}, {f"versions.{number}": 1})
        raw = (found or {}).get("versions", {}).get(str(number))
        return Version.model_validate(raw) if raw else None

    async def versions(self, program_id: str, *, limit: int, below: int) -> list[Version]:
        """Return up to `limit` versions of a program with numbers under `below`, newest first."""
        numbers = range(below - 1, max(0, below - 1 - limit), -1)
        if not numbers:
            return []
        found = await self._programs.find_one({"_id": program_id}, {f"versions.{n}": 1 for n in numbers})
        versions = (found or {}).get("versions", {})
        return [Version.model_validate(versions[str(n)]) for n in numbers if str(n) in versions]

    async def add_version(self, program: Program, version: Version) -> bool:
        """Store a version as the newest, if the newest still is that of `program`."""
        raw = version.model_dump(mode="json")
        result = await self._programs.update_one(
            {"_id": program.id, "latest.number": program.latest.number},
            {"$set": {"latest": raw, f"versions.{version.number}": raw, "updated_at": raw["created_at"]}},
        )
        return bool(result.matched_count)

    async def replace_version(self, program_id: str, version: Version, *, believed: BuildState) -> bool:
        """Store a version in place of the one of its number, if its build is in the state `believed`."""
        raw, field = version.model_dump(mode="json"), f"versions.{version.number}"
        guard = {"_id": program_id, f"{field}.build.state": believed.value}
        newest = await self._programs.update_one(
            guard | {"latest.number": version.number}, {"$set": {"latest": raw, field: raw}}
        )
        if newest.matched_count:
            return True
        # There is a newer one, and there always will be: numbers only grow.
        older = await self._programs.update_one(
            guard | {"latest.number": {"$gt": version.number}}, {"$set": {field: raw}}
        )
        return bool(older.matched_count)

    async def change(self, program: Program, fields: dict[str, Any], *, now: datetime) -> bool:
        """Set fields of a program; False if it is gone. Raises: NameTaken."""
        values = {
            name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            for name, value in fields.items()
        }
        try:
            result = await self._programs.update_one(
                {"_id": program.id, "owner": program.owner},
                {"$set": values | {"updated_at": now.isoformat()}},
            )
        except DuplicateKeyError:
            raise name_taken(fields["name"]) from None
        return bool(result.matched_count)

    async def delete(self, program: Program) -> bool:
        """Forget a program and its versions; False if it is gone."""
        result = await self._programs.delete_one({"_id": program.id, "owner": program.owner})
        return bool(result.deleted_count)

    async def page(self, which: ProgramFilter, *, limit: int, before: str | None) -> list[Program]:
        """Return up to `limit` programs, newest first, with ids below `before`."""
        query = _query(which)
        if before:
            query["_id"] = {"$lt": before}
        found = self._programs.find(query, _WITHOUT_VERSIONS).sort("_id", -1).limit(limit)
        return [Program.model_validate(each | {"id": each["_id"]}) async for each in found]

    async def count(self, which: ProgramFilter) -> int:
        """Return how many programs there are of a kind."""
        return int(await self._programs.count_documents(_query(which)))


def _query(which: ProgramFilter) -> dict[str, Any]:
    named = {} if which.name is None else {"name": which.name}
    match which.scope:
        case ProgramScope.OWN:
            return {"owner": which.caller, **named}
        case ProgramScope.VISIBLE:
            shared = {"visibility": Visibility.GROUP.value, "groups": {"$in": list(which.groups)}}
            public = {"visibility": Visibility.PUBLIC.value}
            return {"$or": [{"owner": which.caller}, public, shared], **named}
        case ProgramScope.ALL:
            return {**named}
        case unknown:
            assert_never(unknown)


def _program(document: dict[str, Any] | None) -> Program | None:
    return Program.model_validate(document | {"id": document["_id"]}) if document else None
